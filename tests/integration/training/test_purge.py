"""Deleting all jobs takes many scripts: a kill in between is made good, and what came later stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from contract.training.test_store import a_job, created
from support.redis import RedisServer
from swiftletd.kernel.errors import WrongState
from swiftletd.kernel.idempotency import Once, Repeated
from swiftletd.kernel.redis.client import Redis, RedisError, connect
from swiftletd.kernel.redis.keys import TRAINING_EVENTS
from swiftletd.training.adapters.store import RedisJobStore
from swiftletd.training.domain.job import Attempt, AttemptState, Job, Lease, State, changed
from swiftletd.training.ports import Filter
from swiftletd.training.purge import TOGETHER
from swiftletd.training.usecases import Training

CALL: Once[int] = Once("all", b"purge", lambda total: str(total).encode())


class Clock:
    """A double: it is always the fifth second."""

    def now(self) -> float:
        return 5.0


class Directories:
    """A double: a directory for each job that ran. Removes nothing where it is told to be slow."""

    def __init__(self, *jobs: str, slow: bool = False) -> None:
        self.left, self._slow, self.empty = list(jobs), slow, asyncio.Event()

    async def known(self) -> list[str]:
        return list(self.left)

    async def remove(self, job_id: str) -> bool:
        if self._slow:
            await asyncio.Event().wait()
        self.left.remove(job_id)
        if not self.left:
            self.empty.set()
        return True


class Interrupted(RedisJobStore):
    """A store that deletes so many jobs and then never answers; `reached` says when."""

    def __init__(self, redis: Redis, most: int) -> None:
        super().__init__(redis, Clock())  # type: ignore[arg-type]
        self._most, self._begun, self._done, self.reached = most, 0, 0, asyncio.Event()

    async def delete(self, *args: Any) -> None:
        if self._begun == self._most:
            await asyncio.Event().wait()
        self._begun += 1
        await super().delete(*args)
        self._done += 1
        if self._done == self._most:
            self.reached.set()


class Refused(RedisJobStore):
    """A store that Redis refuses to change for one of the jobs."""

    async def delete(self, job: Job, *args: Any) -> None:
        if job.id == "j1":
            raise RedisError("full")
        await super().delete(job, *args)


def training(store: RedisJobStore, runs: Directories) -> Training:
    return Training(store, runs, None, Clock())  # type: ignore[arg-type]


@pytest.fixture
async def redis(redis_server: RedisServer) -> AsyncIterator[Redis]:
    async with connect(redis_server.url) as redis:
        yield redis
        await redis.connection_pool.disconnect()


@pytest.fixture
async def store(redis: Redis) -> RedisJobStore:
    """With five jobs, and one that came later than the call that deletes all."""
    store = RedisJobStore(redis, Clock())  # type: ignore[arg-type]
    for number in range(5):
        await store.commit(None, created(a_job(f"j{number}", number + 1.0)))
    await store.commit(None, created(a_job("later", 6.0)))
    return store


async def listed(store: RedisJobStore) -> list[str]:
    return [job.id for job in (await store.page(Filter(), 0, 100)).jobs]


async def test_a_killed_deletion_of_all_jobs_is_finished_by_recovery_and_made_once(
    redis: Redis, store: RedisJobStore
) -> None:
    interrupted = Interrupted(redis, most=2)
    call = asyncio.create_task(training(interrupted, Directories()).delete_all(CALL))
    await interrupted.reached.wait()
    call.cancel()
    await asyncio.wait([call])
    assert len(await listed(store)) == 4

    directories = Directories("j4", "later")
    survivor = training(store, directories)
    await survivor.recover()
    with pytest.raises(Repeated):
        await survivor.delete_all(CALL)

    assert (await listed(store), directories.left) == (["later"], ["later"])
    assert (await store.marks.get("all"), await store.purging()) == (b"purge5", 0)


async def test_no_job_is_left_when_all_are_deleted_and_the_disk_follows(store: RedisJobStore) -> None:
    slow = Directories("j0", slow=True)
    assert await training(store, slow).delete_all() == 5
    assert (await listed(store), await store.purging()) == (["later"], 0)

    swift = Directories("j0", "j1")
    assert await training(store, swift).delete_all() == 0
    await asyncio.wait_for(swift.empty.wait(), 10)


async def test_each_of_many_jobs_has_its_event_and_its_run_its_end(
    store: RedisJobStore, redis: Redis
) -> None:
    lease = Lease(token=1, devices=("GPU-0",))
    ended = Attempt(number=1, lease=lease, state=AttemptState.COMPLETED, run_over=True)
    for number in range(TOGETHER + 20):
        job = a_job(f"over{number}", 2.0, state=State.COMPLETED, attempts=(ended,), next_attempt=2)
        await store.commit(None, created(job))
    total = TOGETHER + 25
    assert await training(store, Directories()).delete_all() == total
    types = [fields[b"type"] for _, fields in await redis.xrange(TRAINING_EVENTS)]
    assert (await listed(store), types.count(b"training.job.deleted")) == (["later"], total)
    assert await store.first_attempt("over7") == 2


async def test_a_deletion_that_fails_is_told_as_itself_and_finished_later(
    redis: Redis, store: RedisJobStore
) -> None:
    with pytest.raises(RedisError, match="full"):
        await training(Refused(redis, Clock()), Directories()).delete_all()  # type: ignore[arg-type]
    assert await listed(store) == ["later", "j1"]
    await training(store, Directories()).recover()
    assert await listed(store) == ["later"]


async def test_a_running_job_refuses_the_deletion_of_all(store: RedisJobStore) -> None:
    job = await store.get("j3")
    assert job
    await store.commit(job, created(changed(job, state=State.RUNNING, version=2)))
    with pytest.raises(WrongState, match=r"1 jobs run \(j3\)"):
        await training(store, Directories()).delete_all(CALL)
    assert len(await listed(store)) == 6
