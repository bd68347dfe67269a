"""GpuService: each method parses, calls one use case, and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc.aio
import psutil
from google.api.httpbody_pb2 import HttpBody

from swiftlet.gpu.v1 import gpu_service_pb2 as pb
from swiftlet.gpu.v1 import gpu_service_pb2_grpc as rpc
from swiftlet.gpu.v1.queue_pb2 import QueueItem
from swiftletd.gpu.domain.entry import EntryKind
from swiftletd.gpu.usecases.answers import Answers
from swiftletd.gpu.usecases.board import Board
from swiftletd.gpu.usecases.desk import Desk
from swiftletd.gpu.usecases.scheduler import Scheduler
from swiftletd.gpu.wire.convert import to_gpus, to_pass, to_queue_item, to_score, to_totals
from swiftletd.gpu.wire.watch import Watches, promptly
from swiftletd.kernel.clock import Clock
from swiftletd.kernel.errors import invalid
from swiftletd.kernel.rpc.exposition import metrics
from swiftletd.kernel.rpc.fields import number
from swiftletd.kernel.rpc.idempotent import once

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
WATCHED = 100
LOOK_S = 2.0  # memory and load change without an event


class GpuServicer(rpc.GpuServiceServicer):
    """See gpu_service.proto."""

    def __init__(
        self,
        answers: Answers,
        desk: Desk,
        scheduler: Scheduler,
        board: Board,
        watches: Watches,
        clock: Clock,
        *,
        check_interval: int,
    ) -> None:
        self._answers, self._desk, self._scheduler, self._board = answers, desk, scheduler, board
        self._watches, self._clock, self._check_interval = watches, clock, check_interval

    # ---------------------------------------------------------------- GPUs

    async def ListGpus(self, request: pb.ListGpusRequest, context: Context) -> pb.ListGpusResponse:
        gpus = await list_gpus(self._answers, self._clock.now())
        return pb.ListGpusResponse(gpus=gpus, total=len(gpus))

    async def WatchGpus(
        self, request: pb.WatchGpusRequest, context: Context
    ) -> AsyncIterator[pb.WatchGpusResponse]:
        async def present() -> pb.WatchGpusResponse:
            return pb.WatchGpusResponse(gpus=await list_gpus(self._answers, self._clock.now()))

        watch = self._watches.watch(present, pb.WatchGpusResponse, request.resume_token, look=LOOK_S)
        async for message in promptly(watch):
            yield message

    async def GetSystemStatus(self, request: pb.GetSystemStatusRequest, context: Context) -> pb.SystemStatus:
        memory = psutil.virtual_memory()
        return pb.SystemStatus(
            system=pb.System(
                memory=pb.SystemMemory(
                    total=memory.total, used=memory.used, available=memory.available, percent=memory.percent
                ),
                cpu=pb.SystemCpu(usage_percent=psutil.cpu_percent(), count=psutil.cpu_count() or 0),
            ),
            gpu=to_totals(await self._answers.gpus(), self._board.reading),
        )

    # ---------------------------------------------------------------- the queue

    async def ListQueue(self, request: pb.ListQueueRequest, context: Context) -> pb.ListQueueResponse:
        limit = number(request, "limit", DEFAULT_LIMIT, most=MAX_LIMIT)
        total, items = await self._items(limit, _kind(request.kind))
        return pb.ListQueueResponse(total_queued=total, queue_items=items)

    async def WatchQueue(
        self, request: pb.WatchQueueRequest, context: Context
    ) -> AsyncIterator[pb.WatchQueueResponse]:
        async def present() -> pb.WatchQueueResponse:
            total, items = await self._items(WATCHED, None)
            return pb.WatchQueueResponse(queue_items=items, total_queued=total)

        watch = self._watches.watch(present, pb.WatchQueueResponse, request.resume_token)
        async for message in promptly(watch):
            yield message

    async def GetQueueItem(self, request: pb.GetQueueItemRequest, context: Context) -> QueueItem:
        return to_queue_item(await self._answers.item(request.job_id), self._clock.now())

    async def _items(self, limit: int, kind: EntryKind | None) -> tuple[int, list[QueueItem]]:
        total, standings = await self._answers.queue(limit, kind)
        now = self._clock.now()
        return total, [to_queue_item(standing, now) for standing in standings]

    # ---------------------------------------------------------------- what operators do

    async def ProcessQueue(
        self, request: pb.ProcessQueueRequest, context: Context
    ) -> pb.ProcessQueueResponse:
        return to_pass(await self._scheduler.pass_now(once(request, to_pass)))

    async def RemoveQueueItem(
        self, request: pb.RemoveQueueItemRequest, context: Context
    ) -> pb.QueueActionResponse:
        done = _done(request.job_id)
        return done(await self._desk.remove(request.job_id, once(request, done)))

    async def MoveQueueItem(
        self, request: pb.MoveQueueItemRequest, context: Context
    ) -> pb.QueueActionResponse:
        if not request.HasField("priority"):
            raise invalid("priority", "is required: 0 to 10, larger is more urgent.")
        done = _done(request.job_id)
        return done(await self._desk.move(request.job_id, request.priority, once(request, done)))

    async def HoldQueueItem(
        self, request: pb.HoldQueueItemRequest, context: Context
    ) -> pb.QueueActionResponse:
        done = _done(request.job_id)
        return done(await self._desk.hold(request.job_id, once(request, done)))

    async def ReleaseQueueItem(
        self, request: pb.ReleaseQueueItemRequest, context: Context
    ) -> pb.QueueActionResponse:
        done = _done(request.job_id)
        return done(await self._desk.release(request.job_id, once(request, done)))

    # ---------------------------------------------------------------- the processor

    async def StartProcessor(self, request: pb.StartProcessorRequest, context: Context) -> pb.ProcessorStatus:
        return await self._set_processor(request, running=True)

    async def StopProcessor(self, request: pb.StopProcessorRequest, context: Context) -> pb.ProcessorStatus:
        return await self._set_processor(request, running=False)

    async def _set_processor(
        self, request: pb.StartProcessorRequest | pb.StopProcessorRequest, *, running: bool
    ) -> pb.ProcessorStatus:
        def said(text: str) -> pb.ProcessorStatus:
            return self._processor(text, running=running)

        return said(await self._desk.process(running, once(request, said)))

    async def GetProcessorStatus(
        self, request: pb.GetProcessorStatusRequest, context: Context
    ) -> pb.ProcessorStatus:
        running = self._board.processing
        text = "GPUs are granted." if running else "The queue is stopped: no GPU is granted."
        return self._processor(text, running=running)

    def _processor(self, message: str, *, running: bool) -> pb.ProcessorStatus:
        return pb.ProcessorStatus(
            message=message,
            running=running,
            total_queued=len(self._board.queue),
            check_interval=self._check_interval,
        )

    async def GetPredictionScore(
        self, request: pb.GetPredictionScoreRequest, context: Context
    ) -> pb.PredictionScore:
        return to_score(await self._answers.score())

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Context) -> HttpBody:
        return metrics()


async def list_gpus(answers: Answers, now: float) -> list[Any]:
    """All GPUs as they are sent."""
    found = await answers.gpus()
    jobs = {a.outlook.next_entry: answers.job_of(a.outlook.next_entry) for a in found}
    return to_gpus(found, jobs, now)


def _done(job_id: str) -> Callable[[str], pb.QueueActionResponse]:
    return lambda text: pb.QueueActionResponse(message=text, job_id=job_id)


def _kind(kind: str) -> EntryKind | None:
    try:
        return EntryKind(kind.lower()) if kind else None
    except ValueError:
        raise invalid("kind", f"must be training or deploy, got {kind[:20]!r}.") from None
