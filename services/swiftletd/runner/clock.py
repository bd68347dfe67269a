"""Times as people and other programs read them."""

from __future__ import annotations

import time


def rfc3339(seconds: float) -> str:
    """Unix seconds as `2026-11-23T09:24:40.123Z`: always 24 characters, so that times sort as text."""
    whole, milliseconds = divmod(int(seconds * 1000), 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{milliseconds:03d}Z"


def now() -> str:
    return rfc3339(time.time())
