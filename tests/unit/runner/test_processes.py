"""Processes are found by what they are, and never mistaken for a later one with the same number."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from support.waiting import eventually
from swiftletd.runner.processes import (
    MARK,
    Process,
    all_processes,
    descendants,
    environment,
    is_alive,
    read_process,
    send,
)
from swiftletd.runner.rundir import end_processes, find_processes

SLEEP = "import time; time.sleep(600)"
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); "
    "time.sleep(600)"
)


@pytest.fixture
def run() -> Path:
    return Path("/runs") / uuid.uuid4().hex / "1"


@pytest.fixture
def start(run):
    started: list[subprocess.Popen] = []

    def start_marked(code: str = SLEEP) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, MARK: str(run)},
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        started.append(process)
        eventually(lambda: environment(process.pid).get(MARK) == str(run), "the mark did not show")
        return process

    yield start_marked
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def process(pid: int, parent: int) -> Process:
    return Process(pid=pid, start_time=1, parent=parent, state="S")


def test_descendants_are_found_through_the_generations():
    table = {
        item.pid: item
        for item in (process(2, 1), process(3, 2), process(4, 3), process(5, 1), process(6, 99))
    }
    assert descendants(table, [2]) == {3, 4}
    assert descendants(table, [1]) == {2, 3, 4, 5}
    assert descendants(table, [2, 99]) == {3, 4, 6}
    assert descendants(table, []) == set()


def test_this_process_is_read_as_it_is():
    me = read_process(os.getpid())
    assert me is not None
    assert me.parent == os.getppid()
    assert is_alive(me.pid, me.start_time)
    assert me.pid in all_processes()


def test_a_later_process_with_the_same_pid_is_another(start):
    child = read_process(start().pid)
    assert child is not None
    earlier = Process(pid=child.pid, start_time=child.start_time - 1, parent=child.parent, state="S")
    assert not is_alive(earlier.pid, earlier.start_time)
    assert not send(earlier, signal.SIGKILL)
    assert is_alive(child.pid, child.start_time)


def test_a_zombie_is_not_alive(start):
    child = start()
    known = read_process(child.pid)
    child.kill()
    eventually(lambda: known is None or not is_alive(known.pid, known.start_time), "the child did not end")


def test_a_run_is_found_and_ended_wherever_its_processes_are(start, run):
    gentle, deaf = start(), start(DEAF)
    assert deaf.stdout.readline() == b"deaf\n"
    assert {found.pid for found in find_processes(run)} == {gentle.pid, deaf.pid}
    assert end_processes(run, 0.2) == []
    assert find_processes(run) == []
    assert gentle.wait() == -signal.SIGTERM
    assert deaf.wait() == -signal.SIGKILL


def test_a_run_whose_name_only_begins_alike_is_left_alone(start, run):
    other = start()
    assert end_processes(run.parent, 0.1) == []
    assert other.poll() is None


def test_who_asks_is_spared_even_with_the_mark(run):
    code = "from pathlib import Path; from swiftletd.runner.rundir import end_processes; "
    code += f"print(end_processes(Path({str(run)!r}), 0.1))"
    asked = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, MARK: str(run)}, capture_output=True, check=True
    )
    assert asked.stdout == b"[]\n"
