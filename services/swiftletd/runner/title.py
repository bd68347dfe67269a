"""What `ps` shows of a process that was forked and not started.

setproctitle would be the library for it, but it takes the room of the environment too, and by its environment
the gpu service tells which suite a process belongs to.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

# The last word of a command line that is to be written over later: the room for it.
ROOM = " " * 1024


def set_title(*words: str) -> None:
    """Write over the words that this process was started with; what does not fit is cut off.

    Nothing happens where the kernel does not say where they are.
    """
    title = b"\0".join(word.encode("utf-8", "surrogateescape") for word in words) + b"\0"
    try:
        fields = Path("/proc/self/stat").read_bytes().rpartition(b") ")[2].split()
        start, end = int(fields[45]), int(fields[46])
    except (OSError, IndexError, ValueError):
        return
    room = end - start
    if start > 0 and room > 0:
        ctypes.memmove(start, title[: room - 1].ljust(room, b"\0"), room)
