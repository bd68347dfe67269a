"""What the runner fills into command lines when a step starts."""

from __future__ import annotations

MASTER_PORT = "{master_port}"
"""A port that is free when the step starts."""
CHECKPOINT = "{checkpoint}"
"""The last checkpoint of the training step."""
PORT = "{port}"
"""The port of a model server."""


def placeholder_in(text: str) -> str:
    """The first placeholder in a text of a client, which would be filled in there too; empty for none."""
    if "{" not in text:
        return ""
    return next((word for word in (MASTER_PORT, CHECKPOINT, PORT) if word in text), "")
