"""May the results be written where they should go?"""

from __future__ import annotations

import os

from swiftletd.training.adapters.preflight.places import Places, nearest_existing


def output_fault(path: str, places: Places) -> str:
    """Why nothing can be written there, as the rest of a sentence; empty where it can. Raises OSError."""
    if not places.allows(path):
        roots = ", ".join(str(root) for root in places.roots)
        return (
            f"leads to {os.path.realpath(path)}, and results may only be written below {roots} (OUTPUT_ROOTS)"
        )
    place = nearest_existing(path)
    if not os.path.isdir(place):
        return f"can't be made: {place} is a file"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"can't be written: the services have no right to write in {place}"
    return ""
