"""Deleting all jobs takes many scripts: a kill in between is made good, and what came later stays."""

from __future__ import annotations

from typing import Any

import pytest

from contract.training.test_store import a_job, created
from support.redis import RedisServer
from swiftletd.kernel.idempotency import Once, Repeated
from swiftletd.kernel.redis.client import connect
from swiftletd.training.adapters.store import RedisJobStore
from swiftletd.training.usecases import Training

CALL: Once[int] = Once("all", b"purge", lambda total: str(total).encode())


class Clock:
    """A double: it is always the fifth second."""

    def now(self) -> float:
        return 5.0


class NoRuns:
    """A double: nothing was ever run. Dies at a deletion where it is told to."""

    def __init__(self, dies_at: int = -1) -> None:
        self.removed: list[str] = []
        self._dies_at = dies_at

    async def known(self) -> list[str]:
        return []

    async def remove(self, job_id: str) -> bool:
        if len(self.removed) == self._dies_at:
            raise KeyboardInterrupt
        self.removed.append(job_id)
        return True


def training(store: RedisJobStore, runs: Any) -> Training:
    return Training(store, runs, None, Clock())  # type: ignore[arg-type]


async def test_a_killed_deletion_of_all_jobs_is_finished_by_recovery_and_made_once(
    redis_server: RedisServer,
) -> None:
    async with connect(redis_server.url) as redis:
        store = RedisJobStore(redis, Clock())  # type: ignore[arg-type]
        for number in range(5):
            await store.commit(None, created(a_job(f"j{number}", number + 1.0)))
        with pytest.raises(KeyboardInterrupt):
            await training(store, NoRuns(dies_at=2)).delete_all(CALL)
        assert await store.get("j4") is None
        assert await store.get("j0") is not None
        await store.commit(None, created(a_job("later", 6.0)))

        survivor = training(store, NoRuns())
        await survivor.recover()
        with pytest.raises(Repeated):
            await survivor.delete_all(CALL)

        assert [job.id for job in await store.unfinished()] == ["later"]
        assert (await store.marks.get("all"), await store.purging()) == (b"purge5", 0)
        await redis.connection_pool.disconnect()
