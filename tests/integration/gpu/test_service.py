"""The service as users and the other services see it: over gRPC and over the streams."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path

import grpc
import pytest
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from integration.gpu.process import GpuService, granted_and_ended, of
from swiftlet.gpu.v1 import gpu_pb2
from swiftlet.gpu.v1 import gpu_service_pb2 as pb
from swiftletd.gpu.adapters import keys

H100 = {"name": "NVIDIA H100", "memory_mib": 81559}


@pytest.fixture
async def home():
    with tempfile.TemporaryDirectory(prefix="swiftlet-gpu-") as folder:  # short enough for a socket
        yield Path(folder)


@pytest.fixture
async def service(home, redis_server):
    made = GpuService(home, redis_server.url, [{**H100, "count": 2}])
    await made.start()
    yield made
    await made.close()


async def refusal(call):
    """Status and reason of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), _info(caught.value).reason


async def error_info(call):
    """Reason and metadata of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return _info(caught.value)


def _info(error):
    info = ErrorInfo()
    rpc_status.from_call(error).details[0].Unpack(info)
    return info


async def test_from_submission_to_release_and_on_to_the_next(service):
    await service.submit("a", "b", "c")
    await service.until(lambda e: of(e, "gpu.entry.waiting") == ["c"], "c was not told that it waits")
    queue = await service.stub.ListQueue(pb.ListQueueRequest())
    assert [(item.job_id, item.queue_position, item.reason_code) for item in queue.queue_items] == [
        ("c", 1, "BUSY")
    ]
    gpus = (await service.stub.ListGpus(pb.ListGpusRequest())).gpus
    assert [(g.id, g.status, g.job_id, g.next_job_id) for g in gpus] == [
        (0, gpu_pb2.GPU_STATUS_ALLOCATED, "a", "c"),
        (1, gpu_pb2.GPU_STATUS_ALLOCATED, "b", ""),
    ]
    await service.end("b")
    events = await service.until(lambda e: of(e, "gpu.lease.granted") == ["a", "b", "c"], "c got nothing")
    last = next(e for e in events if e.subject == "training-c-1" and e.HasField("lease_granted"))
    assert (last.lease_granted.gpu_ids, last.lease_granted.visible_devices) == ("1", "1")
    assert (last.lease_granted.token, last.lease_granted.machine) == (3, "node")


async def test_what_operators_do(service):
    await service.submit("a", "b")
    await service.submit("c", "d", "e")
    await service.until(lambda e: len(of(e, "gpu.entry.waiting")) == 3, "three wait")
    stub = service.stub
    await stub.MoveQueueItem(pb.MoveQueueItemRequest(job_id="e", priority=7))
    await stub.HoldQueueItem(pb.HoldQueueItemRequest(job_id="c"))
    removed = await stub.RemoveQueueItem(pb.RemoveQueueItemRequest(job_id="d", request_id="1"))
    again = await stub.RemoveQueueItem(pb.RemoveQueueItemRequest(job_id="d", request_id="1"))
    assert removed == again
    queue = (await stub.ListQueue(pb.ListQueueRequest())).queue_items
    assert [(item.job_id, item.held) for item in queue] == [("e", False), ("c", True)]
    stopped = await stub.StopProcessor(pb.StopProcessorRequest())
    assert (stopped.running, stopped.total_queued) == (False, 2)
    await service.end("a", "b")
    await service.until(lambda e: len(of(e, "gpu.lease.released")) == 2, "both were released")
    service.kill()
    await service.start()
    assert not (await stub.GetProcessorStatus(pb.GetProcessorStatusRequest())).running
    passed = await stub.ProcessQueue(pb.ProcessQueueRequest())
    assert (passed.result.processed, passed.result.started) == (2, 1)
    await stub.ReleaseQueueItem(pb.ReleaseQueueItemRequest(job_id="c"))
    await stub.StartProcessor(pb.StartProcessorRequest())
    await service.until(lambda e: of(e, "gpu.lease.granted")[-2:] == ["e", "c"], "both run")


async def test_what_is_refused_says_why(service):
    stub, status = service.stub, grpc.StatusCode
    nobody = stub.GetQueueItem(pb.GetQueueItemRequest(job_id="nobody"))
    assert await refusal(nobody) == (status.NOT_FOUND, "NOT_FOUND")
    much = stub.ListQueue(pb.ListQueueRequest(limit=5000))
    assert await refusal(much) == (status.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    high = stub.MoveQueueItem(pb.MoveQueueItemRequest(job_id="a", priority=11))
    assert await refusal(high) == (status.INVALID_ARGUMENT, "INVALID_ARGUMENT")
    token = stub.WatchQueue(pb.WatchQueueRequest(resume_token="yesterday")).read()
    assert await refusal(token) == (status.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED")


async def test_a_request_that_cannot_be_meant_is_answered_and_not_queued(service):
    await service.submit("a", gpus=0)
    events = await service.until(lambda e: of(e, "gpu.entry.refused"), "it was not refused")
    assert "gpus: must be from 1 to 1024, not 0" in events[-1].lease_ended.reason
    assert (await service.stub.ListQueue(pb.ListQueueRequest())).total_queued == 0


async def test_a_watcher_sees_the_present_then_each_change_and_goes_on_from_its_token(service):
    await service.submit("a", "b", "c")
    await service.until(lambda e: of(e, "gpu.entry.waiting") == ["c"], "c waits")
    watch = service.stub.WatchQueue(pb.WatchQueueRequest())
    first = await watch.read()
    assert [item.job_id for item in first.queue_items] == ["c"]
    await service.submit("d")
    while len(message.queue_items) < 2 if (message := await watch.read()) else False:
        pass
    assert [item.job_id for item in message.queue_items] == ["c", "d"]
    watch.cancel()
    newest = (await service.redis.xrevrange(keys.EVENTS, count=1))[0][0].decode()
    resumed = service.stub.WatchQueue(pb.WatchQueueRequest(resume_token=newest))
    assert (await resumed.read()).checkpoint
    behind = service.stub.WatchQueue(pb.WatchQueueRequest(resume_token=first.resume_token))
    assert len((await behind.read()).queue_items) == 2


async def test_a_token_is_good_after_the_service_was_killed(service):
    await service.submit("a", "b", "c")
    await service.until(lambda e: of(e, "gpu.entry.waiting") == ["c"], "c waits")
    gpus = await service.stub.WatchGpus(pb.WatchGpusRequest()).read()
    queue = await service.stub.WatchQueue(pb.WatchQueueRequest()).read()
    service.kill()
    await service.start()
    resumed = service.stub.WatchQueue(pb.WatchQueueRequest(resume_token=queue.resume_token))
    assert (await resumed.read()).checkpoint  # nothing has changed since
    service.kill()
    await service.submit("d")
    await service.start()
    await service.until(lambda e: of(e, "gpu.entry.waiting") == ["c", "d"], "d waits")
    again = service.stub.WatchQueue(pb.WatchQueueRequest(resume_token=queue.resume_token))
    assert [item.job_id for item in (await again.read()).queue_items] == ["c", "d"]
    seen = await service.stub.WatchGpus(pb.WatchGpusRequest(resume_token=gpus.resume_token)).read()
    assert [gpu.job_id for gpu in seen.gpus] == ["a", "b"]


async def test_a_gpu_that_is_lost_is_seen_by_watchers_and_told(service):
    watch = service.stub.WatchGpus(pb.WatchGpusRequest())
    assert len((await watch.read()).gpus) == 2
    service.set_gpus([H100, {**H100, "health": "lost"}])
    while (message := await watch.read()).checkpoint or message.gpus[1].status != gpu_pb2.GPU_STATUS_LOST:
        pass
    assert message.gpus[1].holder == "lost: it fell off the bus"
    assert (await service.events())[-1].type == "gpu.device.lost"


async def test_streams_end_with_a_token_when_the_service_stops(service):
    watches = [service.stub.WatchQueue(pb.WatchQueueRequest()), service.stub.WatchGpus(pb.WatchGpusRequest())]
    seen = [await watch.read() for watch in watches]
    assert service.terminate() == 0
    for watch, message in zip(watches, seen, strict=True):
        info = await error_info(watch.read())
        assert (info.reason, info.metadata["resume_token"]) == ("NOT_READY", message.resume_token)


async def test_killed_at_any_moment_it_gives_nothing_twice_and_leaks_nothing(service):
    jobs = [f"j{n}" for n in range(60)]
    dice = random.Random(7)
    ended = set()
    for start in range(0, 60, 10):
        await service.submit(*jobs[start : start + 10])
        await asyncio.sleep(dice.uniform(0.0, 0.03))
        service.kill()
        running = set(granted_and_ended(await service.events()).values())
        over = {entry.split("-")[1] for entry in running} - ended
        await service.end(*over)
        ended |= over
        await service.start()
    async with asyncio.timeout(40):
        while len(ended) < len(jobs):
            events = await service.events()
            over = {e.split("-")[1] for e in granted_and_ended(events).values()} - ended
            await service.end(*over)
            ended |= over
            await asyncio.sleep(0.01)
    events = await service.until(lambda e: len(of(e, "gpu.lease.released")) == len(jobs), "all ended")
    assert granted_and_ended(events) == {}
    assert sorted(of(events, "gpu.lease.granted")) == sorted(jobs)
    assert await service.redis.hlen(keys.HELD) == 0
    assert await service.redis.zcard(keys.WAITING) == 0
    tokens = [e.lease_granted.token for e in events if e.HasField("lease_granted")]
    assert tokens == sorted(set(tokens))


@pytest.fixture
async def fragile(home, private_redis):
    """A service whose Redis the test may restart."""
    made = GpuService(home, private_redis.url, [H100])
    await made.start()
    yield made, private_redis
    await made.close()


async def test_it_rides_over_a_redis_that_restarts(fragile):
    service, redis = fragile
    await service.submit("a", "b")
    await service.until(lambda e: of(e, "gpu.entry.waiting") == ["b"], "b waits")
    redis.restart()
    await service.redis.connection_pool.disconnect()  # the connection of the test is as dead as the service's
    await service.end("a")
    await service.until(lambda e: of(e, "gpu.lease.granted") == ["a", "b"], "b got nothing")
