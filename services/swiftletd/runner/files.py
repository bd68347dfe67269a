"""Files that are whole or not there: written beside, then moved into place."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

PRIVATE = 0o600
LOCK_SECONDS = 1.0
LOCK_RETRY = 0.02


def write_text(path: Path, text: str, *, sync: bool = False) -> None:
    """Replace the file by `text` at once; with `sync` it survives a power cut."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
        if sync:
            file.flush()
            os.fsync(file.fileno())
    beside.replace(path)
    if sync:
        sync_directory(path.parent)


def write_json(path: Path, value: dict[str, Any], *, sync: bool = False) -> None:
    write_text(path, json.dumps(value) + "\n", sync=sync)


def read_json(path: Path) -> dict[str, Any] | None:
    """The object in the file; None if there is no such file."""
    try:
        value: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    return value


def append_json(path: Path, value: dict[str, Any]) -> None:
    """Add one line that survives a power cut. If the disk is full, nothing is added and OSError raised."""
    new = not path.exists()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE)
    try:
        before = os.fstat(handle).st_size
        line = json.dumps(value).encode() + b"\n"
        if os.write(handle, line) != len(line):
            os.ftruncate(handle, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(handle)
    finally:
        os.close(handle)
    if new:
        sync_directory(path.parent)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The objects in the file, one per line; a last line that a power cut tore off is left out."""
    try:
        whole, _, _ = path.read_bytes().rpartition(b"\n")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in whole.split(b"\n") if line]


def sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def lock(path: Path) -> int | None:
    """Take the lock for as long as the returned descriptor is open; None if another process has it.

    It tries for a second, because a reader that looks whether somebody holds the lock holds it for a moment
    itself.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, PRIVATE)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return handle
        except BlockingIOError:
            if time.monotonic() > deadline:
                os.close(handle)
                return None
            time.sleep(LOCK_RETRY)


def is_locked(path: Path) -> bool:
    """True if a living process holds the lock."""
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
