"""Runs whose runner was killed: what it left is ended, and its GPUs are free at once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.redis import RedisServer
from support.runs import FakeRun, events
from swiftletd.training.adapters.runs import Launching, LocalRuns
from swiftletd.training.adapters.swift_schema import SwiftSchema

JOB, ENTRY = "a-job", "training-a-job-1"


@pytest.fixture
def runs(tmp_path: Path, redis_server: RedisServer) -> LocalRuns:
    launching = Launching(
        runs=tmp_path, trainer_python=tmp_path / "python", redis_url=redis_server.url, grace_seconds=5
    )
    return LocalRuns(launching, SwiftSchema(launching.trainer_python, tmp_path / "schema"))


@pytest.fixture
def killed(tmp_path: Path, redis_server: RedisServer) -> Iterator[FakeRun]:
    """A run that trains on in silence, without its runner."""
    fake = {"hang_at": 2, "orphans": 1}
    run = FakeRun(tmp_path / "training" / JOB / "1", redis_server.url, fake=fake, run=ENTRY, owner=JOB)
    run.name = ENTRY
    run.start()
    run.until_it_trains()
    run.kill_runner()
    assert len(run.processes()) == 2
    yield run
    run.close()


async def test_a_buried_run_is_told_to_be_over_and_lost(runs, killed, redis_server) -> None:
    await runs.bury(JOB, ENTRY)
    assert killed.processes() == []
    end = killed.wait()
    assert (end["success"], end["lost"]) == (False, True)
    assert events(redis_server, ENTRY)[-1]["type"] == "run_ended"


async def test_what_a_deleted_job_left_is_ended_before_it_is_forgotten(runs, killed, redis_server) -> None:
    assert not await runs.remove(JOB), "its processes live"
    killed.wait()
    assert killed.processes() == []
    assert events(redis_server, ENTRY)[-1]["type"] == "run_ended"
    assert await runs.remove(JOB)
    assert not killed.directory.path.exists()


async def test_burying_what_never_began_starts_nothing(runs, killed) -> None:
    never = FakeRun(killed.directory.path.parent / "2", "redis://127.0.0.1:1/0", run="training-a-job-2")
    never.directory.write_spec(never.spec)
    await runs.bury(JOB, "training-a-job-2")
    assert not never.directory.is_alive()
    assert not never.directory.has_begun()


async def test_a_run_without_a_directory_can_be_stopped(runs) -> None:
    await runs.stop(JOB, ENTRY, "cancelled")
