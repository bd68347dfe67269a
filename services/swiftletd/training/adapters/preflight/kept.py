"""What files said, kept for as long as they look the same.

A look is what stat tells: device, inode, size, and both times of a file; of a directory, that of everything
in it. A file may change twice within one tick of its file system's clock, so what has changed only just now
is not kept. Only what was found good is: who mends a file must never be told of the old one.
"""

from __future__ import annotations

import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from stat import S_ISDIR
from typing import Any, Generic, TypeVar


class NotKept(Exception):
    """There is no answer that could be given without reading."""


V = TypeVar("V")
Look = tuple[Any, ...]

TICK_NS = 2 * 10**9
"""The coarsest clock of a file system that is in use (FAT has two seconds)."""
MOST_ENTRIES = 1_000
"""Entries of a directory that are compared; what lies in a larger one is read each time."""
MOST_KEPT = 64
FEW_ENTRIES = 64
"""Looks that are quick enough for an event loop."""


class Kept(Generic[V]):
    """The latest MOST_KEPT good answers. Safe to use from several threads."""

    def __init__(self, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._now_ns = now_ns
        self._lock = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[tuple[Look, ...], V]] = OrderedDict()

    def get(
        self,
        key: Hashable,
        path: Path,
        read: Callable[[], V],
        good: Callable[[V], bool],
        still: Callable[[V], bool] = lambda _: True,
        depth: int = 0,
    ) -> V:
        """What `read` says about `path`, read anew unless everything looks as it did at the last time.

        A directory is compared `depth` levels below its own entries. `good` tells whether an answer may be
        kept, `still` whether a kept one holds as far as other files are concerned. Raises what `read` does.
        """
        kept = self._of(key)
        looks = look(path, depth)
        if looks and kept and kept[0] == looks and still(kept[1]):
            return kept[1]
        settled = looks and max(max(each[-2:]) for each in looks) < self._now_ns() - TICK_NS
        value = read()
        if settled and good(value) and look(path, depth) == looks:
            self._keep(key, (looks, value))
        return value

    def get_quickly(self, key: Hashable, path: Path, depth: int = 0) -> V:
        """The kept answer, if everything looks as it did and not much has to be looked at. Raises NotKept."""
        kept = self._of(key)
        if kept is None or len(kept[0]) > FEW_ENTRIES or look(path, depth) != kept[0]:
            raise NotKept
        return kept[1]

    def _of(self, key: Hashable) -> tuple[tuple[Look, ...], V] | None:
        with self._lock:
            if kept := self._kept.get(key):
                self._kept.move_to_end(key)
            return kept

    def _keep(self, key: Hashable, kept: tuple[tuple[Look, ...], V]) -> None:
        with self._lock:
            self._kept[key] = kept
            self._kept.move_to_end(key)
            if len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)


def look(path: Path, depth: int = 0) -> tuple[Look, ...]:
    """How a file looks, or a directory with all in it; empty where that can't be told or is too much."""
    try:
        stat = os.stat(path)
        inside = sorted(_inside(os.fspath(path), "", depth)) if S_ISDIR(stat.st_mode) else []
    except (OSError, ValueError):
        return ()
    return (_told("", stat), *inside) if len(inside) <= MOST_ENTRIES else ()


def _inside(directory: str, prefix: str, depth: int) -> Iterator[Look]:
    with os.scandir(directory) as entries:
        for number, entry in enumerate(entries):
            if number > MOST_ENTRIES:
                return
            name = prefix + entry.name
            try:
                yield _told(name, entry.stat())
            except OSError:  # a link to nothing
                yield _told(name, entry.stat(follow_symlinks=False))
                continue
            if depth and entry.is_dir():
                yield from _inside(entry.path, name + "/", depth - 1)


def _told(name: str, stat: os.stat_result) -> Look:
    return (name, stat.st_mode, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
