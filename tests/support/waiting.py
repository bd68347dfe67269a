"""Waiting for what another process does: until it is so, not for a time that is hoped to be enough."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(
    condition: Callable[[], bool], complaint: str, why: Callable[[], str] = str, seconds: float = 30
) -> None:
    """Return when `condition` holds; fail with the complaint, and what `why` says, if it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{complaint} after {seconds} s\n{why()}"
        time.sleep(0.02)
