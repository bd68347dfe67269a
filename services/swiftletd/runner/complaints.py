"""What the runner says about itself: lines in runner.log, which is its standard error."""

from __future__ import annotations

import sys

from swiftletd.runner.clock import now


def complain(message: str) -> None:
    """Write one line. A full disk must not end the runner."""
    try:
        sys.stderr.write(f"{now()} {message}\n")
        sys.stderr.flush()
    except OSError:
        return
