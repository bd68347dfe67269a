"""Writing what must be written, however long the disk is full."""

from __future__ import annotations

import time
from collections.abc import Callable

from swiftletd.runner.complaints import complain
from swiftletd.runner.rundir import RunDir

RETRY_SECONDS = 1.0


def persist(directory: RunDir, write: Callable[[], None]) -> None:
    """Try until it is written; but not in a directory that was removed: nobody wants to know any more."""
    complained = False
    while directory.path.exists():
        try:
            write()
            return
        except OSError as error:
            if not complained:
                complain(f"Could not write to the run directory: {error}. Trying on.")
                complained = True
            time.sleep(RETRY_SECONDS)
