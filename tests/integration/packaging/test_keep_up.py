"""The main process of a container: a service that dies comes back, one that is told to stop does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

KEEP_UP = Path(__file__).parents[3] / "tools" / "keep-up"
DRAIN = 7
SERVICE = f"""
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit({DRAIN}))
print(os.getpid(), flush=True)
signal.pause()
"""

Kept = subprocess.Popen[str]


@pytest.fixture
def keep_up() -> Iterator[Callable[[], Kept]]:
    started: list[Kept] = []

    def start() -> Kept:
        command = [KEEP_UP, sys.executable, "-c", SERVICE]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.communicate()


def service_pid(kept: Kept) -> int:
    """The pid of the service that has just started; waits for it."""
    assert kept.stdout is not None
    return int(kept.stdout.readline())


def test_a_service_that_is_killed_is_started_again(keep_up: Callable[[], Kept]) -> None:
    # Given a service that is kept up
    kept = keep_up()
    first = service_pid(kept)
    # When it dies
    os.kill(first, signal.SIGKILL)
    # Then another one takes its place, and the container lives
    assert service_pid(kept) != first
    assert kept.poll() is None


def test_stop_is_passed_on_and_the_exit_code_handed_back(keep_up: Callable[[], Kept]) -> None:
    # Given a service that drains when it is told to stop
    kept = keep_up()
    service_pid(kept)
    # When the container is stopped
    kept.send_signal(signal.SIGTERM)
    # Then it ends with the service, and with its exit code
    assert kept.wait(timeout=10) == DRAIN
