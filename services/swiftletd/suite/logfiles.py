"""The members' log files: opened, kept small, shown."""

from __future__ import annotations

import os
import shutil
from collections import deque
from collections.abc import Iterator
from pathlib import Path

LARGEST = 10 * 1024 * 1024  # bytes; a file that is larger is set aside
KEEP = 3  # files set aside: name.log.1 is the newest


def open_log(path: Path) -> int:
    """A descriptor for a child to write to. Appending, so that the file can be emptied under it."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)


def rotate(path: Path, largest: int = LARGEST) -> bool:
    """Set a large log file aside and empty it; gives whether it did.

    The file is copied, not moved: the processes that write to it keep their descriptors, and no pipe
    stands between them and the disk that could fill up when the supervisor hangs.
    """
    if not path.exists() or path.stat().st_size <= largest:
        return False
    for number in range(KEEP, 1, -1):
        older = _aside(path, number - 1)
        if older.exists():
            older.replace(_aside(path, number))
    shutil.copyfile(path, _aside(path, 1))
    os.truncate(path, 0)
    return True


def last_lines(path: Path, count: int) -> list[str]:
    """The end of a log file; nothing where there is none."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in deque(file, maxlen=count)]
    except FileNotFoundError:
        return []


class Follower:
    """Reads what is added to files from now on. They need not exist yet, and may be emptied."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self._paths = paths
        self._offsets = {name: _size(path) for name, path in paths.items()}

    def read(self) -> Iterator[tuple[str, str]]:
        """Names and whole lines that came since the last call."""
        for name, path in self._paths.items():
            yield from ((name, line) for line in self._news(name, path))

    def _news(self, name: str, path: Path) -> list[str]:
        size, offset = _size(path), self._offsets[name]
        offset = 0 if size < offset else offset
        if size == offset:
            return []
        with path.open("rb") as file:
            file.seek(offset)
            whole, newline, _ = file.read(size - offset).rpartition(b"\n")
        self._offsets[name] = offset + len(whole) + len(newline)
        return whole.decode(errors="replace").split("\n") if newline else []


def _aside(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
