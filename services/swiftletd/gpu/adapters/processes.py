"""Processes of this machine, by the mark that every process of a run carries."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping, Sequence

import psutil

from swiftletd.gpu.ports import Process
from swiftletd.runner import processes as proc

UNKNOWN = "?"


class MarkedProcesses:
    """`home` is the home of this suite: processes of runs elsewhere belong to a suite beside it."""

    def __init__(self, home: str) -> None:
        self._runs = f"{home}/runs/"

    async def of_runs(self) -> Mapping[str, Sequence[int]]:
        return await asyncio.to_thread(self._of_runs)

    async def end(self, run: str, since: float, until: float) -> int:
        return await asyncio.to_thread(self._end, run, since, until)

    def run_of(self, pid: int) -> str:
        """The run that a process belongs to; empty if it is nobody's or can't be looked into."""
        environment = proc.environment(pid)
        ours = environment.get(proc.MARK, "").startswith(self._runs)
        return environment.get(proc.NAME_MARK, "") if ours else ""

    def describe(self, pid: int, memory_mib: int) -> Process:
        """Who a process is; what can't be found out is "?"."""
        name, user, started = UNKNOWN, UNKNOWN, 0.0
        try:
            process = psutil.Process(pid)
            started, name, user = process.create_time(), process.name(), process.username()
        except psutil.Error:
            pass
        run = self.run_of(pid)
        return Process(pid=pid, name=name, user=user, memory_mib=memory_mib, run=run, started=started)

    def _of_runs(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for process in proc.all_processes().values():
            run = "" if process.is_gone else self.run_of(process.pid)
            if run:
                found.setdefault(run, []).append(process.pid)
        return found

    def _end(self, run: str, since: float, until: float) -> int:
        """Known by pid and start time, so that a pid which was given out again is never hit.

        A later process with the same mark is of a later run of the same name.
        """
        table = proc.all_processes()
        marked = [pid for pid in table if self.run_of(pid) == run]
        pids = [pid for pid in marked if since <= _started(pid) <= until]
        return sum(proc.send(table[pid], signal.SIGKILL) for pid in pids)


def _started(pid: int) -> float:
    """Unix seconds; 0 for a process that is gone."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0
