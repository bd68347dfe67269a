"""Which paths can be looked at without waiting for a network.

A look at a path on NFS whose server is away blocks for minutes, so it belongs into a thread. A few looks at a
local disk take microseconds, and a thread that makes them fights the event loop for the interpreter at each.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path

LOCAL = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"})
KNOWN_SECONDS = 60.0  # for which a path is believed to be where it was
MOST_KNOWN = 256
MOUNTS = Path("/proc/self/mountinfo")


class Locality:
    """Sets of paths that were found to be on local file systems a short time ago. For one event loop."""

    def __init__(self) -> None:
        self._until: OrderedDict[tuple[str, ...], float] = OrderedDict()

    def knows(self, paths: tuple[str, ...]) -> bool:
        """Whether all of them are known to be local."""
        return time.monotonic() < self._until.get(paths, 0.0)

    def learn(self, paths: tuple[str, ...]) -> None:
        """They are local."""
        self._until[paths] = time.monotonic() + KNOWN_SECONDS
        self._until.move_to_end(paths)
        if len(self._until) > MOST_KNOWN:
            self._until.popitem(last=False)


def is_local(path: str, mounts: Path = MOUNTS) -> bool:
    """Whether the path, and each directory on the way to it, is on a local file system. Blocks.

    Hub ids are no paths, and local. What is behind a link is judged where the link leads in the end.
    """
    if not path.startswith("/"):
        return True
    types = _types(mounts)
    try:
        devices = {os.stat(place).st_dev for place in (*_way(path), *_way(os.path.realpath(path)))}
    except OSError:
        return False
    return all(types.get(device) in LOCAL for device in devices)


def _way(path: str) -> Iterator[str]:
    """What exists of the path and of the directories above it."""
    while True:
        if os.path.exists(path):
            yield path
        if path == "/":
            return
        path = os.path.dirname(path)


def _types(mounts: Path) -> Mapping[int, str]:
    """File system types by device; a device that several have in turn counts as the last of them."""
    found: dict[int, str] = {}
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        before, _, after = line.partition(" - ")
        major, _, minor = before.split()[2].partition(":")
        found[os.makedev(int(major), int(minor))] = after.split()[0]
    return found
