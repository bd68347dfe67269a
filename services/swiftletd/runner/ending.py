"""Ending a run's processes, with proof."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from swiftletd.runner.child import Child, is_rank
from swiftletd.runner.console import Console
from swiftletd.runner.processes import (
    Process,
    all_pids,
    all_processes,
    has_children,
    of_run,
    reap_orphans,
)
from swiftletd.runner.sweeping import select, signal_all

# After its leader has ended, the rest gets at most so long: data loading workers take up to 5 s to notice.
LEFTOVER_SECONDS = 6.0
FIRST_LOOK, LONGEST_LOOK = 0.02, 0.25
COMPLAIN_SECONDS = 60.0


class Ending:
    """Ends what this runner started. While it waits, the log is written on.

    The runner is the subreaper of everything below it, so all of it stays below it, whatever sessions,
    groups and parents it takes on. The mark in the environment finds it a second time.
    """

    def __init__(self, directory: Path, console: Console) -> None:
        self._directory = directory
        self._console = console

    def living(self, child: Child | None = None) -> list[Process]:
        """What lives of the run now."""
        reap_orphans(but=child.pid if child is not None else 0)
        if not has_children() and not of_run(self._directory, all_pids()):
            return []
        return select(all_processes(), self._directory, below=os.getpid())

    def ask(self, child: Child, *, trainers_only: bool, grace: float) -> None:
        """SIGTERM, and up to `grace` seconds for what it asks.

        With trainers_only the signal goes to the leader alone, or to the ranks below it: a trainer that
        saves a last checkpoint needs its data loading workers for that.
        """
        living = self.living(child)
        targets = _trainers(child, living) if trainers_only else living
        self._console.say(f"SIGTERM to {_count(targets)}; SIGKILL follows after {grace:g} s.")
        signal_all(targets, signal.SIGTERM)
        signal_all(targets, signal.SIGCONT)
        if trainers_only:
            self._wait(lambda: child.exit_code is not None, grace)
        else:
            self._wait(lambda: not self.living(child), grace)

    def clear(self, child: Child | None, *, grace: float) -> None:
        """End everything that still lives: SIGTERM, `grace` seconds, SIGKILL until nothing is left."""
        left = self.living(child)
        if left and grace > 0:
            self._console.say(f"Ending {_count(left)} left behind.")
            signal_all(left, signal.SIGTERM)
            signal_all(left, signal.SIGCONT)
            self._wait(lambda: not self.living(child), grace)
            left = self.living(child)
        self._kill(left, child)

    def _kill(self, living: list[Process], child: Child | None) -> None:
        pause, complain_at = FIRST_LOOK, time.monotonic()
        while living:
            if time.monotonic() >= complain_at:
                self._console.say(f"SIGKILL to {_count(living)}.")
                complain_at = time.monotonic() + COMPLAIN_SECONDS
            signal_all(living, signal.SIGKILL)
            self._console.pump(pause)
            pause = min(2 * pause, LONGEST_LOOK)
            living = self.living(child)

    def _wait(self, condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        pause = FIRST_LOOK
        while not condition() and (left := deadline - time.monotonic()) > 0:
            self._pump(min(pause, left))
            pause = min(2 * pause, LONGEST_LOOK)

    def _pump(self, seconds: float) -> None:
        """Read on for so long: a chatty process must not make us look at /proc with each line."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._console.pump(left)


def _trainers(child: Child, living: list[Process]) -> list[Process]:
    ranks = [process for process in living if is_rank(process.pid, process.parent)]
    return ranks or [process for process in living if process.pid == child.pid]


def _count(processes: list[Process]) -> str:
    number = len(processes)
    pids = ", ".join(str(process.pid) for process in processes[:10])
    return f"{number} process{'es' if number != 1 else ''} ({pids}{', ...' if number > 10 else ''})"
