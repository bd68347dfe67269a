"""What to change so that a training that ran out of memory fits, without changing what is trained."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Relief:
    """Parameters that need less memory, and the difference in words."""

    params: Mapping[str, Any]
    words: str


def relief(params: Mapping[str, Any]) -> Relief | None:
    """The next thing to try, None where nothing is left that would give the same model.

    Smaller steps first, more of them for each update: every update sees as many rows as before, so step
    counts, schedule and checkpoints stay valid. Then activations are computed again instead of kept.
    """
    batch = params.get("batch_size", 1)
    if batch > 1:
        smaller = next(size for size in range(batch // 2, 0, -1) if batch % size == 0)
        steps = params["gradient_accumulation_steps"] * (batch // smaller)
        return _changed(params, {"batch_size": smaller, "gradient_accumulation_steps": steps})
    if params.get("gradient_checkpointing") is False:
        return _changed(params, {"gradient_checkpointing": True})
    return None


def _changed(params: Mapping[str, Any], new: Mapping[str, Any]) -> Relief:
    words = (f"{name} {_said(value)} instead of {_said(params[name])}" for name, value in new.items())
    return Relief({**params, **new}, " and ".join(words))


def _said(value: Any) -> str:
    return str(value).lower()
