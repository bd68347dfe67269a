"""Processes that somebody else may have started: who they are, and how to end them."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from swiftletd.runner.processes import is_alive, read_process


@dataclass(frozen=True, slots=True)
class Process:
    """A process that can't be confused with a later one of the same pid."""

    pid: int
    start_time: int  # clock ticks since boot

    @classmethod
    def of(cls, pid: int) -> Process | None:
        """The process that has this pid now; None where there is none, or only its exit code is left."""
        found = read_process(pid)
        return None if found is None or found.is_gone else cls(pid, found.start_time)

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self.pid > 0 and is_alive(self.pid, self.start_time)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it is gone, and never to another one."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return
        try:
            if self.is_alive:
                signal.pidfd_send_signal(handle, number)
        except ProcessLookupError:
            pass
        finally:
            os.close(handle)

    def wait(self, seconds: float) -> bool:
        """Wait until it is gone; False if it is still there after so many seconds."""
        try:
            handle = os.pidfd_open(self.pid)
        except OSError:
            return True
        try:
            ready = select.poll()
            ready.register(handle, select.POLLIN)
            return not self.is_alive or bool(ready.poll(max(0.0, seconds) * 1000))
        finally:
            os.close(handle)


def end_all(processes: Iterable[Process], grace: float) -> None:
    """Ask them to end, and kill what is still there after `grace` seconds."""
    remaining = list(processes)
    for process in remaining:
        process.signal(signal.SIGTERM)
    deadline = time.monotonic() + grace
    for process in remaining:
        if not process.wait(deadline - time.monotonic()):
            process.signal(signal.SIGKILL)
            process.wait(grace)


def listener(path: Path) -> Process | None:
    """The process that listens on a Unix socket."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(1.0)
            connection.connect(str(path))
            credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    pid: int = struct.unpack("3i", credentials)[0]
    return Process.of(pid)
