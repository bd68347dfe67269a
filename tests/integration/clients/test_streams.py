"""Streams over a real channel: what breaks is resumed, nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio

import grpc
import pytest

import swiftlet
from integration.clients.conftest import SOON
from integration.clients.doubles import DONE, Refusal
from swiftlet import Client as SyncClient
from swiftlet import Retry
from swiftlet.aio import Client
from swiftlet.gpu.v1.queue_pb2 import QueueItem
from swiftlet.training.v1 import job_pb2

GONE = Refusal(grpc.StatusCode.UNAVAILABLE, "NOT_READY", "Stopping.")
TOO_SLOW = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "WATCHER_TOO_SLOW")
RESET = Refusal(
    grpc.StatusCode.UNAVAILABLE, message="upstream connect error or disconnect/reset before headers"
)
EXPIRED = Refusal(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED", "Too old.")


@pytest.fixture
def job(suite):
    suite.training.jobs["a"] = job_pb2.TrainingJob(id="a", status=DONE)
    suite.training.lines = [f"line {number}" for number in range(20)]
    return suite.training.jobs["a"]


async def test_a_log_whose_stream_breaks_three_times_comes_whole_and_once(suite, client, job):
    suite.training.cuts = {3: GONE, 11: RESET, 12: TOO_SLOW}

    handle = await client.job("a")
    seen = [line.message async for line in handle.logs(follow=True)]

    assert seen == suite.training.lines
    assert suite.training.tokens == ["", "3", "11", "12"]


async def test_the_sync_client_resumes_too(suite, job):
    suite.training.cuts = {5: GONE, 15: RESET}

    def story():
        with SyncClient(suite.address, retry=SOON) as client:
            return [line.message for line in client.job("a").logs(follow=True)]

    assert await asyncio.to_thread(story) == suite.training.lines


async def test_with_retries_off_a_broken_stream_reaches_the_caller(suite, job):
    suite.training.cuts = {3: GONE}
    seen = []

    async def read(lines):
        async for line in lines:
            seen.append(line.message)  # noqa: PERF401  # what came before the error counts

    async with Client(suite.address, retry=Retry.off()) as client:
        lines = (await client.job("a")).logs(follow=True)
        with pytest.raises(swiftlet.Unavailable, match="Stopping"):
            await read(lines)

    assert seen == suite.training.lines[:3]


async def test_a_log_that_can_not_go_on_says_so_and_does_not_begin_again(suite, client, job):
    suite.training.cuts = {3: GONE, 4: EXPIRED}

    handle = await client.job("a")
    with pytest.raises(swiftlet.ResumeTokenExpired, match="Too old"):
        _ = [line async for line in handle.logs(follow=True)]


async def test_a_queue_whose_token_is_too_old_is_watched_anew(suite, client):
    suite.gpu.snapshots = [[QueueItem(job_id="a")], []]
    suite.gpu.expired = {"t1"}
    seen = []

    # The double ends its stream after two snapshots, without a last word, as a gateway that restarts does.
    async for queue in client.watch_queue():
        seen.append(len(queue.items))
        if len(seen) == 4:
            break

    assert seen == [1, 0, 1, 0]
    assert suite.gpu.tokens == ["", "t1", ""]


async def test_a_stored_log_is_read_to_its_end_and_from_its_tail(suite, client, job):
    suite.training.lines = [str(number) for number in range(2500)]

    handle = await client.job("a")
    everything = [line.message async for line in handle.logs()]
    tail = [line.message async for line in handle.logs(tail=2)]

    assert everything == suite.training.lines
    assert tail == ["2498", "2499"]


async def test_a_log_is_searched_over_all_its_pages(suite, client, job):
    suite.training.lines = ["loss" if number in (2, 9) else str(number) for number in range(11)]

    handle = await client.job("a")
    found = [line.message async for line in handle.search_logs("loss", level="info", attempt=2, line=3)]

    assert found == ["loss", "loss"]
    first, *others = suite.training.log_calls
    assert (first.line, first.level, first.attempt) == (3, "info", 2)
    assert all(call.attempt == 2 and not call.HasField("line") for call in others)


async def test_the_log_of_a_model_server_is_read_like_that_of_a_job(suite, client):
    suite.deploy.lines = [str(number) for number in range(1200)]
    served = await client.deploy("m", auto_start=False)

    assert [line.message async for line in served.logs()] == suite.deploy.lines
    assert [line.message async for line in served.logs(tail=2)] == ["1198", "1199"]
    assert [line.message async for line in served.search_logs("119", line=119)] == [
        line for line in suite.deploy.lines[118:] if "119" in line
    ]


async def test_wait_gives_the_job_that_completed(suite, client):
    suite.training.steps = [job_pb2.Progress(step=step, phase="training") for step in range(3)]

    job = await client.train("org/model", "org/data", "out")
    steps = [progress.step async for progress in job.watch()]
    info = await job.wait()

    assert steps == [0, 1, 2, 2]
    assert info.status == DONE
    assert job.status.ended


async def test_wait_raises_what_the_job_died_of(suite, client, job):
    job.status = job_pb2.JobStatus.JOB_STATUS_FAILED
    job.error_message, job.failure_reason = "Out of memory. Halve batch_size.", "OUT_OF_MEMORY"

    handle = await client.job("a")
    with pytest.raises(swiftlet.JobFailed, match="Halve batch_size") as caught:
        await handle.wait()
    info = await handle.wait(check=False)

    assert caught.value.reason == "OUT_OF_MEMORY"
    assert caught.value.job.id == "a"
    assert info.status == job.status


async def test_watching_longer_than_the_timeout_is_a_deadline(suite, client, job):
    async def stuck(request, count, context):
        await asyncio.sleep(30)
        yield 0

    suite.training._places = stuck
    handle = await client.job("a")

    with pytest.raises(swiftlet.DeadlineExceeded):
        _ = [progress async for progress in handle.watch(timeout=0.2)]


async def test_leaving_a_stream_ends_it_on_the_server(suite, client, job):
    left = asyncio.Event()

    async def endless(request, count, context):
        try:
            yield 0
            await asyncio.sleep(30)
        finally:
            left.set()

    suite.training._places = endless
    lines = (await client.job("a")).logs(follow=True)
    async for _ in lines:
        break
    await lines.aclose()

    async with asyncio.timeout(5):
        await left.wait()
