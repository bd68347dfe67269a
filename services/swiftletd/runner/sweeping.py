"""Finding and ending what is left of a run, whoever its parents are now."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from swiftletd.runner.processes import Process, all_processes, descendants, of_run, send

FIRST_LOOK, LONGEST_LOOK = 0.02, 0.5
KILL_SECONDS = 10.0


def find_processes(directory: Path) -> list[Process]:
    """The living processes that carry the mark of the run, and everything below them."""
    return select(all_processes(), directory)


def select(table: Mapping[int, Process], directory: Path, *, below: int | None = None) -> list[Process]:
    """The living processes of a run in a process table: by mark, and all descendants of these and of `below`.

    The caller itself and its ancestors are never among them, even if they carry the mark.
    """
    spared = _ancestors(table, os.getpid())
    marked = of_run(directory, table) - spared
    pids = marked | descendants(table, marked | ({below} if below is not None else set()))
    return [table[pid] for pid in sorted(pids - spared) if not table[pid].is_gone]


def signal_all(processes: Iterable[Process], number: signal.Signals) -> int:
    """Signal each; how many there were."""
    return sum(send(process, number) for process in processes)


def end_processes(directory: Path, grace: float) -> list[Process]:
    """End what is left of a run that has no runner any more, and return what could not be ended.

    SIGTERM, then SIGKILL after `grace` seconds. An empty list is the proof that nothing of the run lives.
    Blocks for up to grace + 10 seconds. Not for a run whose runner lives: ask that with `request_stop`.
    """
    signal_all(find_processes(directory), signal.SIGTERM)
    if not _wait_until_gone(directory, grace, None):
        return []
    return _wait_until_gone(directory, KILL_SECONDS, signal.SIGKILL)


def _wait_until_gone(directory: Path, seconds: float, number: signal.Signals | None) -> list[Process]:
    deadline = time.monotonic() + seconds
    pause = FIRST_LOOK
    while living := find_processes(directory):
        if number is not None:
            signal_all(living, number)
        if time.monotonic() >= deadline:
            break
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_LOOK)
    return living


def _ancestors(table: Mapping[int, Process], pid: int) -> set[int]:
    found: set[int] = set()
    while pid in table and pid not in found:
        found.add(pid)
        pid = table[pid].parent
    return found
