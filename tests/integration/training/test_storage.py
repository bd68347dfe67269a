"""Room for what jobs write: jobs in a real Redis, results in real directories, a disk that the test fills."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from contract.training.test_store import a_job, created
from support.redis import RedisServer
from swiftlet.event.v1.event_pb2 import Event
from swiftletd.kernel.clock import SystemClock
from swiftletd.kernel.errors import InvalidArgument
from swiftletd.kernel.redis.client import Redis, connect
from swiftletd.kernel.redis.keys import TRAINING_EVENTS
from swiftletd.training.adapters.disk import SIZES, LocalDisk, RedisOutputs
from swiftletd.training.adapters.store import RedisJobStore
from swiftletd.training.domain.disk import Limits, Volume
from swiftletd.training.domain.job import Attempt, AttemptState, Job, Lease, State, changed
from swiftletd.training.storage import Storage

KIB = 1024


class SmallDisk(LocalDisk):
    """A double of a file system of 1 MiB; sizes of directories are the real ones."""

    free = 1024 * KIB

    async def volume(self, path: str) -> Volume:
        return Volume(path=path, device=1, used=1024 * KIB - self.free, free=self.free)


class World:
    """A store, a disk and a storage, as the training service has them; `storage` may be made again."""

    def __init__(self, redis: Redis, limits: Limits) -> None:
        self.redis, self.clock, self.limits = redis, SystemClock(), limits
        self.store, self.disk = RedisJobStore(redis, self.clock), SmallDisk(self.clock)
        self.storage = self.restarted()

    def restarted(self) -> Storage:
        outputs = RedisOutputs(self.redis, self.clock, "here")
        self.storage = Storage(
            self.store, self.disk, outputs, self.clock, limits=self.limits, watched=["/data"]
        )
        return self.storage

    async def create(self, job: Job) -> Job:
        async with self.storage.place(job):
            await self.store.commit(None, created(job))
        return job

    async def change(self, job: Job, **changes: object) -> Job:
        fresh = changed(job, version=job.version + 1, **changes)
        await self.store.commit(job, created(fresh))
        return fresh

    async def events(self) -> list[Event]:
        entries = await self.redis.xrange(TRAINING_EVENTS)
        events = [Event.FromString(fields[b"e"]) for _, fields in entries]
        return [event for event in events if event.type.startswith("training.disk.")]


@pytest.fixture
async def world(redis_server: RedisServer) -> AsyncIterator[World]:
    async with connect(redis_server.url) as redis:
        yield World(redis, Limits(reserve=24 * KIB, high_water=0.9))
        await redis.connection_pool.disconnect()


def running(key: str, out: Path, **changes: object) -> Job:
    attempt = Attempt(number=1, lease=Lease(token=1, devices=("cpu:0",)))
    return a_job(key, output_dir=str(out), attempts=(attempt,), state=State.RUNNING, **changes)


def over(job: Job) -> dict[str, object]:
    done = replace(job.attempts[0], state=AttemptState.COMPLETED, run_over=True)
    return {"state": State.COMPLETED, "attempts": (done,)}


def write(job: Job, size: int, name: str = "weights") -> Path:
    home = Path(job.output_dir) / job.id / "checkpoint-1"
    home.mkdir(parents=True, exist_ok=True)
    (home / name).write_bytes(b"x" * size)
    return home


async def refusal(world: World, job: Job) -> str:
    with pytest.raises(InvalidArgument) as caught:
        await world.create(job)
    assert caught.value.reason == "NO_DISK_SPACE"
    assert await world.store.get(job.id) is None
    return caught.value.message


async def test_of_many_who_ask_at_once_only_as_many_get_in_as_fit(world: World, tmp_path: Path) -> None:
    jobs = [a_job(f"j{n}", output_dir=str(tmp_path), disk_needed=100 * KIB) for n in range(30)]
    outcomes = await asyncio.gather(*(world.create(job) for job in jobs), return_exceptions=True)

    assert sum(isinstance(outcome, InvalidArgument) for outcome in outcomes) == 20
    assert world.storage.standing().promised == 1000 * KIB


async def test_room_is_kept_across_a_restart_and_given_back_by_a_job_that_wrote_less(
    world: World, tmp_path: Path
) -> None:
    job = await world.create(running("a", tmp_path, disk_needed=900 * KIB))
    write(job, 300 * KIB)
    await world.restarted().measure()
    assert world.storage.standing().promised == 600 * KIB
    assert "600" not in await refusal(world, a_job("b", output_dir=str(tmp_path), disk_needed=500 * KIB))

    await world.change(job, **over(job))

    await world.storage.measure()
    assert (await world.create(a_job("b", output_dir=str(tmp_path), disk_needed=500 * KIB))).id == "b"
    settled = await world.store.get("a")
    assert settled
    assert settled.settled
    assert settled.output_bytes == 300 * KIB
    assert [job.id for job in await world.store.unfinished()] == ["b"]


async def test_a_deleted_job_leaves_its_room_and_its_id_to_the_next(world: World, tmp_path: Path) -> None:
    job = await world.create(a_job("a", output_dir=str(tmp_path), disk_needed=900 * KIB))
    await world.store.delete(job, created(job))
    world.storage.leave("a")
    await world.create(a_job("a", output_dir=str(tmp_path), disk_needed=100 * KIB))
    assert world.storage.standing().promised == 100 * KIB


async def test_nobody_is_refused_for_results_that_were_removed_a_moment_ago(
    world: World, tmp_path: Path
) -> None:
    world.limits = Limits(outputs=500 * KIB)
    world.restarted()
    job = await world.create(running("a", tmp_path, disk_needed=400 * KIB))
    home = write(job, 400 * KIB)
    await world.change(job, **over(job))
    await world.storage.measure()
    world.restarted()
    await world.storage.measure()
    text = await refusal(world, a_job("b", output_dir=str(tmp_path), disk_needed=200 * KIB))
    assert f"{tmp_path}/a (" in text

    (home / "weights").unlink()
    world.restarted()  # whose first measurement is too long ago
    assert await world.create(a_job("b", output_dir=str(tmp_path), disk_needed=200 * KIB))


async def test_the_books_are_right_though_the_service_dies_between_the_books_and_the_job(
    world: World, tmp_path: Path
) -> None:
    job = await world.create(running("a", tmp_path))
    write(job, 100 * KIB)
    await world.change(job, **over(job))
    commit, world.store.commit = world.store.commit, _die  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await world.storage.measure()
    world.store.commit = commit  # type: ignore[method-assign]

    await world.restarted().measure()
    await world.storage.measure()

    assert world.storage.standing().outputs == 100 * KIB
    assert await world.redis.zcard(SIZES) == 1


async def _die(*_: object) -> None:
    raise ConnectionError


async def test_results_of_a_deleted_job_count_until_they_are_gone(world: World, tmp_path: Path) -> None:
    job = await world.create(running("a", tmp_path))
    home = write(job, 100 * KIB)
    job = await world.change(job, **over(job))
    await world.storage.measure()
    settled = await world.store.get("a")
    assert settled
    await world.store.delete(settled, created(settled))
    await world.storage.measure()
    assert world.storage.standing().outputs == 100 * KIB

    (home / "weights").unlink()
    home.rmdir()
    home.parent.rmdir()
    await world.storage.measure()
    assert world.storage.standing().outputs == 0


async def test_a_disk_that_fills_up_is_told_once_also_across_a_restart(world: World) -> None:
    for free, restart in ((500, False), (90, False), (95, False), (90, True), (110, False), (500, False)):
        world.disk.free = free * KIB
        if restart:
            world.restarted()
        await world.storage.measure()

    high, ok = await world.events()
    assert (high.type, ok.type) == ("training.disk.high", "training.disk.ok")
    assert (high.subject, high.disk_level.path, high.disk_level.high) == ("here:/data", "/data", True)
    assert high.disk_level.used_bytes == 934 * KIB
    assert "is 91% full" in high.message
    assert not ok.disk_level.high
