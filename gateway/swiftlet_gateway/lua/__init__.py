"""The scripts that Envoy runs on each request and answer."""

from __future__ import annotations

from pathlib import Path


def read(name: str) -> str:
    """The text of a script."""
    return Path(__file__).with_name(f"{name}.lua").read_text()
