"""Processes by what /proc says: who is a descendant of whom, who carries the mark of a run, who is gone.

A process is known by pid and start time together, so that a pid that was given out again is never taken for
it. What is written down for later names the boot too: both may come again after a reboot.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Every process of a run carries both in its environment: the name of the run, for the gpu service and for
# people, and its directory, which tells it from a run of the same name in a suite beside this one.
NAME_MARK, MARK = "SWIFTLET_RUN", "SWIFTLET_RUN_DIR"

_PROC = "/proc"
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True, slots=True)
class Process:
    """One process; start_time in clock ticks since the machine started."""

    pid: int
    start_time: int
    parent: int
    state: str

    @property
    def is_gone(self) -> bool:
        """True if only its exit code is left.

        A dead main thread looks the same while other threads live on, as they do when a driver holds them.
        """
        return self.state in "ZX" and _thread_count(self.pid) <= 1


def _thread_count(pid: int) -> int:
    try:
        return sum(1 for _ in os.scandir(f"{_PROC}/{pid}/task"))
    except OSError:
        return 0


@cache
def boot_id() -> str:
    """Another one after each start of the machine; empty where /proc has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def read_process(pid: int) -> Process | None:
    """The process as it is now; None if there is none."""
    raw = _read(pid, "stat")
    if not raw:
        return None
    # The name in parentheses may hold spaces and parentheses itself.
    fields = raw[raw.rindex(b")") + 2 :].split()
    return Process(pid=pid, start_time=int(fields[19]), parent=int(fields[1]), state=fields[0].decode())


def is_alive(pid: int, start_time: int) -> bool:
    """True if this very process lives, and not a later one with its pid."""
    process = read_process(pid)
    return process is not None and process.start_time == start_time and not process.is_gone


def all_pids() -> list[int]:
    """The pid of every process of the machine (or container)."""
    return [int(entry.name) for entry in os.scandir(_PROC) if entry.name.isdecimal()]


def all_processes() -> dict[int, Process]:
    """Every process of the machine (or container), by pid."""
    found = [read_process(pid) for pid in all_pids()]
    return {process.pid: process for process in found if process is not None}


def descendants(table: Mapping[int, Process], roots: Iterable[int]) -> set[int]:
    """Pids below the roots; a root is not below itself."""
    children: dict[int, list[int]] = {}
    for process in table.values():
        children.setdefault(process.parent, []).append(process.pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        for pid in children.get(waiting.pop(), ()):
            if pid not in found:
                found.add(pid)
                waiting.append(pid)
    return found


def environment(pid: int) -> dict[str, str]:
    """The environment that a process was started with; empty if it is gone or not ours to read."""
    raw = _read(pid, "environ")
    pairs = (entry.partition(b"=") for entry in raw.split(b"\0") if entry)
    return {name.decode("utf-8", "replace"): value.decode("utf-8", "replace") for name, _, value in pairs}


def of_run(directory: Path, pids: Iterable[int]) -> set[int]:
    """Those that carry the mark of the run with this directory."""
    mark = b"\0" + os.fsencode(f"{MARK}={directory}") + b"\0"
    return {pid for pid in pids if mark in b"\0" + _read(pid, "environ") + b"\0"}


def _read(pid: int, name: str) -> bytes:
    """A file of /proc without Path and buffers: all processes of a machine are looked at in one go."""
    try:
        with open(f"{_PROC}/{pid}/{name}", "rb", buffering=0) as file:  # noqa: PTH123
            return file.read()
    except OSError:
        return b""


def send(process: Process, number: signal.Signals) -> bool:
    """Signal this very process; False if it is gone already."""
    try:
        handle = os.pidfd_open(process.pid)
    except OSError:
        return False
    try:
        current = read_process(process.pid)
        if current is None or current.start_time != process.start_time:
            return False
        signal.pidfd_send_signal(handle, number)
        return True
    except OSError:
        return False
    finally:
        os.close(handle)


def become_subreaper() -> None:
    """Processes below this one whose parent ends become children of this one, and can't hide under init."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER) failed")


def has_children() -> bool:
    """True if there is a process below this one. For a subreaper that counts all generations."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def reap_orphans(but: int = 0) -> None:
    """Take the exit codes of adopted processes that ended; `but` is a child whose code its owner wants."""
    try:
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid != but:
            os.waitpid(ended.si_pid, os.WNOHANG)
    except ChildProcessError:
        return
