"""What every store of jobs keeps, whatever it is made of: versions, request ids, pages, histories."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.redis import RedisServer
from swiftletd.kernel.clock import SystemClock
from swiftletd.kernel.errors import InvalidArgument
from swiftletd.kernel.idempotency import Once, Repeated
from swiftletd.kernel.redis.client import connect
from swiftletd.kernel.redis.marks import TTL
from swiftletd.training.adapters.store import RedisJobStore
from swiftletd.training.domain import decide
from swiftletd.training.domain.job import Change, ExportState, Happened, Job, State, changed
from swiftletd.training.domain.param_fields import Method, TrainerType
from swiftletd.training.ports import Filter, JobStore, Place, Stale
from swiftletd.training.wire.pages import page_begin, page_token

Told = Callable[[], Awaitable[int]]
Mark = Callable[[str], Awaitable[bytes | None]]


def a_job(key: str, created_at: float = 1.0, **changes: object) -> Job:
    fresh = Job(
        id=key,
        task_type="llm",
        trainer_type=TrainerType.LLM,
        method=Method.SFT,
        data_path="/data",
        model_path="Qwen/Small",
        output_dir="/out",
        params={"lora_rank": 8},
        created_at=created_at,
    )
    return changed(fresh, **changes)


def created(job: Job) -> Change:
    return Change(job, (Happened(type="training.job.created", message="Created."),))


async def ids(store: JobStore, wanted: Filter, *, after: Place | None = None) -> list[str]:
    return [job.id for job in (await store.page(wanted, 0, 100, after=after)).jobs]


async def test_a_job_is_kept_as_it_is_with_its_history_and_its_event(store: JobStore, told: Told) -> None:
    job = a_job("a")
    await store.commit(None, created(job))
    assert await store.get("a") == job
    items, total = await store.history("a", 10)
    assert (total, items[0].happened.type, items[0].state) == (1, "training.job.created", State.PENDING)
    assert await told() == 1
    with pytest.raises(Stale):
        await store.commit(None, created(a_job("a")))


async def test_of_two_who_change_a_version_one_is_told_that_it_is_stale(store: JobStore) -> None:
    job = a_job("a")
    await store.commit(None, created(job))
    change = decide.submit(job)
    assert change
    outcomes = await asyncio.gather(*(store.commit(job, change) for _ in range(5)), return_exceptions=True)
    assert [type(o) for o in outcomes].count(Stale) == 4
    assert (await store.history("a", 10))[1] == 2


def once(key: str) -> Once[Job]:
    return Once(key, b"create", lambda job: job.id.encode())


async def test_a_hundred_creates_with_one_request_id_make_one_job(store: JobStore, mark: Mark) -> None:
    tries = (store.commit(None, created(a_job(f"j{n}")), once("r")) for n in range(100))
    outcomes = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes].count(Repeated) == 99
    kept = (await store.page(Filter(), 0, 10)).jobs
    assert await mark("r") == b"create" + "".join(job.id for job in kept).encode()
    assert await mark("other") is None


async def test_the_answer_of_a_mark_can_become_better(store: JobStore, mark: Mark) -> None:
    await store.commit(None, created(a_job("a")), once("r"))
    await store.improve(once("r"), b"queued")
    await store.improve(once("unknown"), b"queued")
    assert (await mark("r"), await mark("unknown")) == (b"createqueued", None)


async def test_redis_keeps_a_mark_for_a_week(redis_server: RedisServer) -> None:
    async with connect(redis_server.url) as redis:
        store = RedisJobStore(redis, SystemClock())
        await store.commit(None, created(a_job("a")), once("r"))
        assert 600_000 < await redis.ttl(store.marks.name(once("r"))) <= TTL
        await redis.connection_pool.disconnect()


async def test_a_purge_is_begun_once_and_not_while_a_job_runs(store: JobStore, mark: Mark) -> None:
    job = a_job("a")
    await store.commit(None, created(job))
    await store.commit(None, created(a_job("later", 3.0)))
    call: Once[int] = Once("p", b"purge", lambda total: str(total).encode())
    assert await store.purge(2_000_000, call) == 1
    assert (await store.purging(), await mark("p")) == (2_000_000, b"purge1")
    with pytest.raises(Repeated):
        await store.purge(2_000_000, call)
    await store.purged(1)  # of another purge
    assert await store.purging() == 2_000_000
    await store.purged(2_000_000)
    assert await store.purging() == 0
    running = changed(job, state=State.RUNNING, version=2)
    await store.commit(job, Change(running))
    with pytest.raises(Stale):
        await store.purge(2_000_000)


async def test_a_deleted_job_is_gone_from_everywhere_and_cannot_be_committed(
    store: JobStore, mark: Mark
) -> None:
    job = a_job("a")
    await store.commit(None, created(job))
    with pytest.raises(Stale):
        await store.delete(changed(job, version=9), created(job))
    await store.delete(job, created(job), once("gone"))
    assert await store.get("a") is None
    assert (await store.history("a", 10))[1] == 0
    assert (await store.page(Filter(), 0, 10)).total == 0
    assert not await store.unfinished()
    assert await mark("gone") == b"createa"
    change = decide.submit(job)
    assert change
    with pytest.raises(Stale):
        await store.commit(job, change)


async def test_an_id_that_is_used_again_goes_on_counting_attempts(store: JobStore) -> None:
    assert await store.first_attempt("a") == 1
    job = a_job("a", next_attempt=3)
    await store.commit(None, created(job))
    assert await store.first_attempt("a") == 0
    await store.delete(job, created(job))

    # A job that begins with an attempt of the deleted one came too late to know of it
    assert await store.first_attempt("a") == 3
    with pytest.raises(Stale):
        await store.commit(None, created(a_job("a", next_attempt=2)))
    await store.commit(None, created(a_job("a", next_attempt=3)))


async def test_pages_are_newest_first_and_filtered(store: JobStore) -> None:
    for n in range(5):
        await store.commit(None, created(a_job(f"llm-{n}", n + 1.0)))
    mllm = a_job("seen", 9.0, task_type="multimodal", trainer_type=TrainerType.MLLM, model_path="Big")
    await store.commit(None, created(mllm))
    stopped = decide.cancel(a_job("llm-0", 1.0), 20.0)
    assert stopped
    await store.commit(a_job("llm-0", 1.0), stopped)

    assert await ids(store, Filter()) == ["seen", "llm-4", "llm-3", "llm-2", "llm-1", "llm-0"]
    assert await ids(store, Filter(state="cancelled")) == ["llm-0"]
    assert "llm-0" not in await ids(store, Filter(state="pending"))
    assert await ids(store, Filter(trainer_type="mllm")) == ["seen"]
    assert await ids(store, Filter(task_type="multimodal")) == ["seen"]
    assert await ids(store, Filter(created_after=2.5, created_before=4.0)) == ["llm-2"]
    assert await ids(store, Filter(search="BIG")) == ["seen"]
    assert await ids(store, Filter(search="m-3")) == ["llm-3"]
    assert await ids(store, Filter(search="%")) == []
    page = await store.page(Filter(), 2, 2)
    assert ([job.id for job in page.jobs], page.total) == (["llm-3", "llm-2"], 6)


async def test_a_job_is_listed_as_exporting_while_its_export_runs(store: JobStore) -> None:
    jobs = [a_job(f"j{n}", n + 1.0, state=State.COMPLETED, export=ExportState.DONE) for n in range(5)]
    for job in jobs:
        await store.commit(None, created(job))
    for number in (1, 2, 4):
        again = decide.export_again(jobs[number])
        assert again
        await store.commit(jobs[number], again)
        jobs[number] = again.job
    exporting = Filter(state="exporting", trainer_type="llm")
    first = await store.page(exporting, 0, 2)
    assert ([job.id for job in first.jobs], first.total) == (["j4", "j2"], 3)
    assert await ids(store, exporting, after=Place.of(first.jobs[-1])) == ["j1"]
    assert await ids(store, Filter(state="completed")) == ["j4", "j3", "j2", "j1", "j0"]

    result = decide.StepResult(step="export", success=True, result_path="/out")
    over = decide.exported(jobs[4], jobs[4].export_entry(), result, None, 9.0)
    assert over
    await store.commit(jobs[4], over)
    await store.delete(jobs[2], created(jobs[2]))
    assert await ids(store, Filter(state="exporting")) == ["j1"]
    assert await ids(store, Filter(state="exporting", task_type="llm", search="small")) == ["j1"]


async def test_pages_by_token_see_each_job_once_though_new_ones_come(store: JobStore) -> None:
    for n in range(5):
        await store.commit(None, created(a_job(f"j{n}", n + 1.0)))
    first = (await store.page(Filter(), 0, 2)).jobs
    await store.commit(None, created(a_job("new", 50.0)))
    rest = await ids(store, Filter(), after=Place.of(first[-1]))
    assert [job.id for job in first] + rest == ["j4", "j3", "j2", "j1", "j0"]


names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,3}[A-Za-z0-9])?", fullmatch=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    born=st.dictionaries(names, st.integers(1, 3), max_size=12),
    gone=st.sets(st.integers(0, 11)),
    size=st.integers(1, 4),
    wanted=st.sampled_from([Filter(), Filter(search="small"), Filter(created_after=1e-6)]),
)
def test_pages_by_token_are_exact_though_many_jobs_are_of_one_microsecond_and_some_are_deleted(
    redis_server: RedisServer, born: dict[str, int], gone: set[int], size: int, wanted: Filter
) -> None:
    async def walk() -> None:
        async with connect(redis_server.url) as redis:
            await redis.flushall()
            store, seen, after = RedisJobStore(redis, SystemClock()), list[str](), None
            jobs = {name: a_job(name, micros / 1e6) for name, micros in born.items()}
            for job in jobs.values():
                await store.commit(None, created(job))
            for number in range(len(jobs) + 1):
                page = await store.page(wanted, 0, size, after=after)
                assert page.total == len(jobs)
                if not page.jobs:
                    break
                seen += [job.id for job in page.jobs]
                after = Place.of(page.jobs[-1])
                if number in gone:  # the job that the token names
                    await store.delete(page.jobs[-1], created(page.jobs[-1]))
                    del jobs[page.jobs[-1].id]
            in_order = sorted(born, key=lambda name: (born[name], name.encode()), reverse=True)
            assert seen == in_order
            await redis.connection_pool.disconnect()

    asyncio.run(walk())


@given(name=names, micros=st.integers(0, 10**15), search=st.text(max_size=5))
def test_a_token_is_for_its_list_alone(name: str, micros: int, search: str) -> None:
    job, wanted = a_job(name, micros / 1e6), Filter(search=search)
    token = page_token(job, wanted)
    assert page_begin(token, wanted) == Place.of(job)
    for other in (Filter(search=search + "x"), Filter(state="running", search=search)):
        with pytest.raises(InvalidArgument):
            page_begin(token, other)


async def test_a_job_that_is_known_to_wait_is_not_read_again(store: JobStore) -> None:
    for key in ("a", "b", "c"):
        await store.commit(None, created(a_job(key)))
    stopped = decide.cancel(a_job("c"), 2.0)
    assert stopped
    await store.commit(a_job("c"), stopped)
    ids, jobs = await store.open_jobs({"a", "c"})
    assert ids == {"a", "b", "c"}
    assert [job.id for job in jobs] == ["b", "c"]


async def test_only_what_is_not_over_is_unfinished_and_history_reads_on(store: JobStore) -> None:
    job = a_job("a")
    await store.commit(None, created(job))
    (first,), _ = await store.history("a", 10)
    assert [it.id for it in await store.unfinished()] == ["a"]
    stopped = decide.cancel(job, 2.0)
    assert stopped
    await store.commit(job, stopped)
    assert [it.state for it in await store.unfinished()] == [State.CANCELLED]
    settled = decide.settle(stopped.job, 4096)
    assert settled
    await store.commit(stopped.job, settled)
    assert not await store.unfinished()
    later = await store.history_after("a", first.id, 10)
    assert [item.happened.type for item in later] == ["training.job.cancelled"]
    assert [item.happened.type for item in (await store.history("a", 1))[0]] == ["training.job.cancelled"]
