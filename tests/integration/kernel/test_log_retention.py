"""What is kept of the logs of ended runs: an index in a real Redis, logs in real directories."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.redis import RedisServer
from swiftletd.kernel.log_retention import DAY, Keep, LogRetention
from swiftletd.kernel.redis.client import Redis, connect
from swiftletd.runner.log import STDOUT, LogWriter
from swiftletd.runner.rundir import RunDir

PREFIX = "swiftlet:{test}:"


class World:
    """Runs that ended one day after the other, 1000 bytes of log and more each."""

    def __init__(self, redis: Redis, home: Path) -> None:
        self.redis, self.home = redis, home
        self.time, self.busy, self.asked = 0.0, set[str](), list[str]()

    def now(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds

    def retention(self, keep: Keep) -> LogRetention:
        return LogRetention(self.redis, self, prefix=PREFIX, keep=keep, log_of=self.log_of)

    def log_of(self, owner: str, run: str) -> RunDir:
        return RunDir(self.home / run)

    async def end(self, *runs: str) -> None:
        for run in runs:
            self.log_of("owner", run).path.mkdir()
            writer = LogWriter(self.log_of("owner", run).path / "log")
            writer.write(STDOUT, ["x" * 1000])
            writer.close()
            for _ in range(2):
                await self.retention(Keep()).ended("owner", run)
            self.time += DAY

    async def release(self, owner: str, run: str, sentence: str) -> bool:
        assert owner == "owner"
        self.asked.append(run)
        return run not in self.busy

    def removed(self) -> list[str]:
        return [path.name for path in sorted(self.home.iterdir()) if (path / "log" / "removed").exists()]

    async def total(self) -> int:
        return int(await self.redis.get(f"{PREFIX}logs:total") or 0)


@pytest.fixture
async def world(redis_server: RedisServer, tmp_path: Path) -> AsyncIterator[World]:
    async with connect(redis_server.url) as redis:
        yield World(redis, tmp_path)
        await redis.connection_pool.disconnect()


async def test_everything_is_kept_where_nobody_says_otherwise(world: World) -> None:
    await world.end("a", "b")
    world.time += 10_000 * DAY
    await world.retention(Keep()).sweep(world.release)
    assert (world.removed(), world.asked) == ([], [])
    assert await world.total() > 2000


async def test_what_is_too_old_goes_and_says_why(world: World) -> None:
    await world.end("a", "b", "c")
    await world.retention(Keep(days=1.5)).sweep(world.release)
    assert world.removed() == ["a", "b"]
    (line,) = world.log_of("owner", "a").tail_log(10)[0]
    assert "it ended more than 1.5 days ago (RETENTION_DAYS)" in line.text
    assert line.stream == "S"

    world.asked.clear()
    await world.retention(Keep(days=1.5)).sweep(world.release)
    assert world.asked == []


async def test_the_oldest_go_until_the_rest_fits(world: World) -> None:
    await world.end("a", "b", "c", "d")
    await world.retention(Keep(size=2100)).sweep(world.release)
    assert world.removed() == ["a", "b"]
    assert await world.total() <= 2100


async def test_what_may_not_be_touched_is_passed_over_and_asked_for_again(world: World) -> None:
    await world.end("a", "b", "c")
    world.busy = {"a"}
    await world.retention(Keep(days=0.5)).sweep(world.release)
    assert world.removed() == ["b", "c"]
    world.busy = set()
    await world.retention(Keep(days=0.5)).sweep(world.release)
    assert world.removed() == ["a", "b", "c"]
    assert await world.total() == 0


async def test_a_sweep_that_is_cut_off_is_finished_by_the_next(world: World) -> None:
    await world.end("a", "b")
    retention = world.retention(Keep(days=0.5))
    forget, retention.forget = retention.forget, _die  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        await retention.sweep(world.release)
    assert world.removed() == ["a"]
    retention.forget = forget  # type: ignore[method-assign]
    await retention.sweep(world.release)
    assert world.removed() == ["a", "b"]
    assert await world.total() == 0


async def _die(*_: object) -> None:
    raise ConnectionError


async def test_runs_that_were_deleted_are_not_in_the_books_any_more(world: World) -> None:
    await world.end("a", "b")
    await world.retention(Keep()).forget("owner", ["a", "b", "never"])
    assert await world.total() == 0
    assert await world.redis.keys("*") == [f"{PREFIX}logs:total".encode()]
