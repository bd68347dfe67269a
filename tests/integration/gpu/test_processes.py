"""Processes of this machine that carry the mark of a run: real ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from swiftletd.gpu.adapters.processes import MarkedProcesses

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


@pytest.fixture
def start():
    started = []

    def launch(run, home="/home/ours"):
        child = subprocess.Popen(
            SLEEP,
            env={
                "PATH": os.environ["PATH"],
                "SWIFTLET_RUN": run,
                "SWIFTLET_RUN_DIR": f"{home}/runs/training/a/1",
            },
            stdout=subprocess.PIPE,
        )
        assert child.stdout.readline() == b"up\n"
        started.append(child)
        return child

    yield launch
    for child in started:
        child.kill()
        child.wait()
        child.stdout.close()


async def test_processes_are_found_by_their_mark_and_ended_by_their_time(start):
    child, now = start("training-a-1"), time.time()
    processes = MarkedProcesses("/home/ours")
    assert (await processes.of_runs())["training-a-1"] == [child.pid]
    described = processes.describe(child.pid, 7)
    assert (described.run, described.memory_mib) == ("training-a-1", 7)
    assert described.started == pytest.approx(now, abs=10)
    assert await processes.end("training-a-1", 0.0, now - 3600) == 0
    assert await processes.end("training-a-1", now - 60, now + 60) == 1
    assert child.wait(10) == -9


async def test_a_process_of_another_suite_is_nobodys(start):
    child = start("training-a-1", "/home/theirs")
    processes = MarkedProcesses("/home/ours")
    assert child.pid not in (await processes.of_runs()).get("training-a-1", [])
    assert processes.describe(child.pid, 0).run == ""
    assert await processes.end("training-a-1", 0.0, time.time() + 60) == 0


async def test_a_process_that_is_gone_is_described_as_unknown():
    described = MarkedProcesses("/home/ours").describe(2**22 + 1, 5)
    assert (described.name, described.user, described.run, described.started) == ("?", "?", "", 0.0)
