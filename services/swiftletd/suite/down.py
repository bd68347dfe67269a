"""`swiftletd down`: end the suite of this home. Running jobs go on."""

from __future__ import annotations

import os
import signal
import time

from swiftletd.suite import record
from swiftletd.suite.home import Home
from swiftletd.suite.process import Process

LOOK_EVERY = 0.05  # seconds


class StillRunning(Exception):
    """The suite did not end in time."""


def stop(home: Home, timeout: float) -> list[Process]:
    """End the suite and wait until the home is free; gives the processes that were ended.

    The supervisor ends its members; what a dead supervisor left is ended here. Raises StillRunning.
    """
    deadline = time.monotonic() + timeout
    told: list[Process] = []
    while (lock := home.lock()) is None:
        suite = record.read(home.record)
        if suite and suite.supervisor not in told and suite.supervisor.is_alive:
            suite.supervisor.signal(signal.SIGTERM)
            told = [*told, suite.supervisor]
        if time.monotonic() >= deadline:
            raise StillRunning(f"The suite of {home.path} has not ended after {timeout:g} s.")
        time.sleep(LOOK_EVERY)
    left = home.end_leftovers()
    os.close(lock)
    return [*told, *left]
