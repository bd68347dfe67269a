"""The members' processes: started, looked after, signalled. The supervisor's hands."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from swiftletd.suite.logfiles import open_log
from swiftletd.suite.plan import Plan, Program
from swiftletd.suite.process import Process
from swiftletd.suite.ready import GrpcWatch, check_for

START_TIMEOUT = 60.0  # seconds
LOOK_EVERY = 0.03  # seconds


class LocalProcesses:
    """Children of this process, each in a session of its own: a Ctrl-C is the supervisor's alone."""

    def __init__(self, plan: Plan, environment: Mapping[str, str]) -> None:
        self._plan = plan
        self._environment = dict(environment)
        self._programs = {program.name: program for program in plan.programs}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._checks = {program.name: check_for(program.ready) for program in plan.programs}

    def launch(self, name: str) -> tuple[int, int]:
        """Start it; gives pid and start time. Raises OSError where there is nothing to start."""
        log = open_log(self._plan.log(name))
        try:
            child = _start(self._programs[name].argv, self._environment, log)
        except OSError as error:
            os.write(log, f"{name} can't be started: {error}\n".encode())
            raise
        finally:
            os.close(log)
        self._children[name] = child
        process = Process.of(child.pid)
        return child.pid, process.start_time if process else 0

    def is_ready(self, name: str) -> bool:
        """Whether it answers."""
        return self._checks[name]()

    def terminate(self, name: str) -> None:
        """Ask it to end."""
        self._children[name].terminate()

    def kill(self, name: str) -> None:
        """End it."""
        self._children[name].kill()

    def ended(self) -> list[tuple[str, int]]:
        """Names and exit codes of those that ended since the last call."""
        codes = [(name, child.poll()) for name, child in self._children.items()]
        gone = [(name, code) for name, code in codes if code is not None]
        for name, _ in gone:
            del self._children[name]
            self._stop_waiting(name)
        return gone

    def close(self) -> None:
        """Leave no process behind that only waits for another one."""
        for name in self._programs:
            self._stop_waiting(name)

    def _stop_waiting(self, name: str) -> None:
        check = self._checks[name]
        if isinstance(check, GrpcWatch):
            check.close()


@contextmanager
def for_a_moment(program: Program, log: Path) -> Iterator[None]:
    """Run one program alone, while nothing else of the suite does. Raises OSError if it doesn't answer."""
    output = open_log(log)
    child = _start(program.argv, os.environ, output)
    os.close(output)
    try:
        _wait_until(check_for(program.ready), child, program.name)
        yield
    finally:
        child.terminate()
        child.wait(program.grace)


def _wait_until(is_ready: Callable[[], bool], child: subprocess.Popen[bytes], name: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not is_ready():
        if child.poll() is not None or time.monotonic() >= deadline:
            raise TimeoutError(f"{name} does not start; look at its log")
        time.sleep(LOOK_EVERY)


def _start(argv: Sequence[str], environment: Mapping[str, str], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
