"""May the results be written where they should go, and is there room?"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from swiftletd.training.adapters.preflight.places import Places, nearest_existing
from swiftletd.training.domain.violations import Violation

_GIB = 2**30


def output_fault(path: Path, places: Places) -> str:
    """Why nothing can be written there, as the rest of a sentence; empty where it can. Raises OSError."""
    if not places.allows(path):
        roots = ", ".join(str(root) for root in places.roots)
        return f"leads to {path.resolve()}, and results may only be written below {roots} (OUTPUT_ROOTS)"
    place = nearest_existing(path)
    if not place.is_dir():
        return f"can't be made: {place} is a file"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"can't be written: the services have no right to write in {place}"
    return ""


def room_fault(path: Path, needed: int) -> Violation | None:
    """Whether the disk has room for so many bytes below the path. Raises OSError."""
    free = shutil.disk_usage(nearest_existing(path)).free
    if needed <= free:
        return None
    text = (
        f"has {free / _GIB:.1f} GiB free on its disk, and the checkpoints may take {needed / _GIB:.1f} GiB; "
        "free some space, lower save_total_limit, or choose another disk"
    )
    details = {"needed_bytes": str(needed), "free_bytes": str(free)}
    return Violation("output_dir", text, "NO_DISK_SPACE", details)
