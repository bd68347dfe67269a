"""Runs whose runner was killed, whose lease ended, whose machine was started anew: nothing runs twice."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from contract.training.test_store import a_job, created
from support.redis import RedisServer
from support.runs import FakeRun, events
from swiftletd.kernel.clock import SystemClock
from swiftletd.kernel.redis.client import connect
from swiftletd.runner.launching import Spawner
from swiftletd.runner.processes import boot_id, read_process
from swiftletd.runner.rundir import RunDir
from swiftletd.training.adapters.runs import Launching, LocalRuns
from swiftletd.training.adapters.store import RedisJobStore
from swiftletd.training.adapters.swift_schema import SwiftSchema
from swiftletd.training.domain import decide
from swiftletd.training.domain.job import Lease, State
from swiftletd.training.usecases import Training

JOB, ENTRY = "a-job", "training-a-job-1"


@pytest.fixture
def runs(tmp_path: Path, redis_server: RedisServer) -> Iterator[LocalRuns]:
    launching = Launching(
        runs=tmp_path, trainer_python=tmp_path / "python", redis_url=redis_server.url, grace_seconds=5
    )
    made = LocalRuns(launching, SwiftSchema(launching.trainer_python, tmp_path / "schema"))
    yield made
    made._launcher.close()


@pytest.fixture
def living(tmp_path: Path, redis_server: RedisServer) -> Iterator[FakeRun]:
    """A run that trains on in silence."""
    fake = {"hang_at": 2, "orphans": 1}
    path, launcher = tmp_path / "training" / JOB / "1", Spawner(sys.executable)
    run = FakeRun(path, redis_server.url, launcher, fake=fake, run=ENTRY, owner=JOB)
    run.name = ENTRY
    run.start()
    run.until_it_trains()
    yield run
    run.close()


@pytest.fixture
def killed(living: FakeRun) -> FakeRun:
    """As `living`, without its runner."""
    living.kill_runner()
    assert len(living.processes()) == 2
    return living


@pytest.fixture
async def training(runs: LocalRuns, redis_server: RedisServer) -> AsyncIterator[Training]:
    """The service's use cases, with a job that thinks that its first attempt runs."""
    async with connect(redis_server.url) as redis:
        store = RedisJobStore(redis, SystemClock())
        await store.commit(None, created(a_job(JOB, submitted=True, max_retries=1)))
        made = Training(store, runs, None, SystemClock())  # type: ignore[arg-type]
        lease = Lease(token=7, devices=("cpu:0",))
        await made.change(JOB, lambda job: decide.granted(job, ENTRY, lease, 1.0))
        yield made
        await redis.connection_pool.disconnect()


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
    never = FakeRun(killed.directory.path.parent / "2", "redis://127.0.0.1:1/0", Spawner(sys.executable))
    never.directory.write_spec(never.spec)
    await runs.bury(JOB, "training-a-job-2")
    assert not never.directory.is_alive()
    assert not never.directory.has_begun()


async def test_what_is_stopped_before_it_has_a_directory_starts_nothing(runs, tmp_path, redis_server) -> None:
    await runs.stop(JOB, ENTRY, "cancelled")
    launcher = Spawner(sys.executable)
    run = FakeRun(tmp_path / "training" / JOB / "1", redis_server.url, launcher, run=ENTRY, owner=JOB)
    run.start()
    assert run.wait()["stopped"] == "cancelled"
    assert run.directory.child() is None


async def test_what_lives_of_a_deleted_job_is_stopped(runs, living) -> None:
    assert not await runs.remove(JOB), "its runner lives"
    assert living.wait()["stopped"] == "cancelled"


async def test_an_attempt_whose_lease_ended_though_it_lives_is_ended_before_another_one(training, living):
    await training.lease_over(JOB, ENTRY, "expired")
    job = await training.get(JOB)
    assert (job.state, job.submitted) == (State.RUNNING, False), "it lives"
    assert living.wait()["stopped"] == "lease_revoked"
    assert living.processes() == []
    await training.recover()
    again = await training.get(JOB)
    assert (again.state, again.submitted, again.attempts[0].run_over) == (State.PENDING, True, True)
    assert again.failure_reason == "LEASE_REVOKED"


async def test_what_an_attempt_left_whose_lease_ended_is_ended_before_another_one(training, killed):
    await training.lease_over(JOB, ENTRY, "expired")
    again = await training.get(JOB)
    assert (again.state, again.submitted, again.failure_reason) == (State.PENDING, True, "LOST")
    assert killed.processes() == []


async def test_a_lease_that_was_given_back_says_nothing(training, killed):
    await training.lease_over(JOB, ENTRY, "released")
    await training.lease_over(JOB, "training-a-job-9", "expired")
    await training.lease_over("nobody", ENTRY, "expired")
    assert (await training.get(JOB)).state is State.RUNNING
    assert len(killed.processes()) == 2


async def test_after_a_reboot_a_process_with_the_old_pid_and_start_time_is_a_stranger(training, runs):
    """Both can come again: start times are counted from the boot."""
    run, stranger = RunDir(runs._home / JOB / "1"), read_process(os.getpid())
    run.path.mkdir(parents=True)
    same = {"pid": stranger.pid, "start_time": stranger.start_time, "started_at": "2026-01-01T00:00:00.000Z"}
    run.write_runner({**same, "boot_id": boot_id()})
    assert run.is_alive()
    run.write_runner({**same, "boot_id": "11111111-2222-3333-4444-555555555555"})
    assert not run.is_alive()
    assert not run.request_stop("cancelled"), "a stranger was asked to end"
    await training.recover()
    again = await training.get(JOB)
    assert (again.state, again.submitted, again.attempts[0].state) == (State.PENDING, True, "lost")


@pytest.mark.parametrize("entry", ["training-a-job-export.2", "training-a-job-export-2"])
async def test_an_export_is_found_under_the_name_that_its_run_had_before(
    runs: LocalRuns, tmp_path: Path, entry: str
) -> None:
    RunDir(tmp_path / "training" / JOB / "export-2").path.mkdir(parents=True)
    RunDir(tmp_path / "training" / JOB / "export-2").write_runner(
        {"pid": 1, "start_time": 1, "boot_id": "old"}
    )
    assert (await runs.report(JOB, entry)).launched
    assert runs.log_of(JOB, entry).path.name == "export-2"
