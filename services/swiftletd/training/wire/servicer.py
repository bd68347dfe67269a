"""TrainingService: each method parses, calls one use case, and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import grpc.aio
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from swiftlet.training.v1 import job_pb2
from swiftlet.training.v1 import training_service_pb2 as pb
from swiftlet.training.v1 import training_service_pb2_grpc as rpc
from swiftletd.kernel.clock import Clock
from swiftletd.kernel.idempotency import Once
from swiftletd.kernel.rpc.exposition import metrics
from swiftletd.kernel.rpc.fields import log_place, number, tail_of
from swiftletd.kernel.rpc.idempotent import once
from swiftletd.training.domain.job import Job, State
from swiftletd.training.ports import Answer, Preflight
from swiftletd.training.usecases import Training
from swiftletd.training.wire import catalogue, requests
from swiftletd.training.wire.convert import about, percent, status, to_event, to_job, to_line, to_progress
from swiftletd.training.wire.health import HealthCheck
from swiftletd.training.wire.pages import page_begin, page_token
from swiftletd.training.wire.watch import Watches, run_of

Context = grpc.aio.ServicerContext[Any, Any]
M = TypeVar("M", bound=Message)


class TrainingServicer(rpc.TrainingServiceServicer):
    """See training_service.proto."""

    def __init__(
        self,
        training: Training,
        preflight: Preflight,
        watches: Watches,
        health: HealthCheck,
        clock: Clock,
        default_time_limit: float,
    ) -> None:
        self._training, self._preflight, self._watches = training, preflight, watches
        self._health, self._clock, self._time_limit = health, clock, default_time_limit

    # ---------------------------------------------------------------- jobs

    async def CreateTrainingJob(
        self, request: pb.CreateTrainingJobRequest, context: Context
    ) -> pb.CreateTrainingJobResponse:
        return await self._create(request, context)

    async def CreateTypedTrainingJob(
        self, request: pb.CreateTypedTrainingJobRequest, context: Context
    ) -> pb.CreateTrainingJobResponse:
        return await self._create(request, context)

    async def _create(
        self, request: requests.CreateRequest, context: Context
    ) -> pb.CreateTrainingJobResponse:
        job, params, block = requests.to_new_job(request, self._clock.now(), self._time_limit)
        if request.job_id:
            job = await self._training.named(job)
        checked = await self._preflight.check(job, params, block)
        auto_start = request.auto_start if request.HasField("auto_start") else True
        call = once(request, created)
        kept, answer = await self._training.create(checked, call, auto_start=auto_start)
        return await self._told(call, answer, created(kept, answer))

    async def _told(self, call: Once[Job], answer: Answer | None, told: M) -> M:
        """What is said; a repeat gets the place in the queue too."""
        if answer and not answer.granted:
            await self._training.store.improve(call, told.SerializeToString())
        return told

    async def ListTrainingJobs(
        self, request: pb.ListTrainingJobsRequest, context: Context
    ) -> pb.ListTrainingJobsResponse:
        wanted = requests.to_filter(request)
        size, page = number(request, "size", 10, most=100), number(request, "page", 1)
        after = page_begin(request.page_token, wanted)
        offset = 0 if after else (page - 1) * size
        found = await self._training.store.page(wanted, offset, size + 1, after=after)  # is there one more?
        jobs = found.jobs[:size]
        answer = pb.ListTrainingJobsResponse(total=found.total, page=page, size=size)
        answer.jobs.extend([await self._message(job) for job in jobs])
        if len(found.jobs) > size:
            answer.next_page_token = page_token(jobs[-1], wanted)
        return answer

    async def GetTrainingJob(
        self, request: pb.GetTrainingJobRequest, context: Context
    ) -> job_pb2.TrainingJob:
        return await self._message(await self._training.get(request.job_id))

    async def _message(self, job: Job) -> job_pb2.TrainingJob:
        entry = run_of(job)
        running = job.attempts and job.state is not State.COMPLETED
        progress = await self._training.runs.progress(job.id, entry) if running else {}
        message = to_job(job, self._training.runs.log_path(job.id, entry), percent(job, progress))
        for attempt, told in zip(job.attempts, message.attempts, strict=True):
            told.log_file_path = self._training.runs.log_path(job.id, job.entry(attempt.number))
        return message

    async def StartTrainingJob(
        self, request: pb.StartTrainingJobRequest, context: Context
    ) -> pb.TrainingJobActionResponse:
        call = once(request, started)
        job, answer = await self._training.start(request.job_id, call)
        return await self._told(call, answer, started(job, answer))

    async def StopTrainingJob(
        self, request: pb.StopTrainingJobRequest, context: Context
    ) -> pb.TrainingJobActionResponse:
        return stopped(await self._training.stop(request.job_id, once(request, stopped)))

    async def ExportTrainingJob(
        self, request: pb.ExportTrainingJobRequest, context: Context
    ) -> pb.TrainingJobActionResponse:
        return exporting(await self._training.export(request.job_id, once(request, exporting)))

    async def DeleteTrainingJob(self, request: pb.DeleteTrainingJobRequest, context: Context) -> Empty:
        await self._training.delete(request.job_id, once(request, lambda _: Empty()))
        return Empty()

    async def DeleteTrainingJobs(
        self, request: pb.DeleteTrainingJobsRequest, context: Context
    ) -> pb.DeleteTrainingJobsResponse:
        return deleted(await self._training.delete_all(once(request, deleted)))

    # ---------------------------------------------------------------- progress, logs, events

    async def GetTrainingJobProgress(
        self, request: pb.GetTrainingJobProgressRequest, context: Context
    ) -> job_pb2.Progress:
        job = await self._training.get(request.job_id)
        return to_progress(job, await self._training.runs.progress(job.id, run_of(job)))

    async def ListTrainingJobLogs(
        self, request: pb.ListTrainingJobLogsRequest, context: Context
    ) -> pb.ListTrainingJobLogsResponse:
        limit, level = number(request, "limit", 100, most=1000), requests.level_of(request.level)
        offset, line = log_place(request)
        asked = number(request, "attempt", 0)
        job = await self._training.get(request.job_id)
        attempt = asked or job.latest
        runs, entry = self._training.runs, job.entry(attempt)
        if line:
            offset = await runs.line_offset(job.id, entry, line)
        if offset is None and not request.search and not level:
            page = await runs.last_lines(job.id, entry, limit)
        else:
            page = await runs.read_log(job.id, entry, offset or 0, limit, search=request.search, level=level)
        answer = pb.ListTrainingJobLogsResponse(
            job_id=job.id,
            total=await runs.count_lines(job.id, entry),
            next_offset=page.next_offset,
            attempt=attempt,
        )
        answer.logs.extend([to_line(job.id, attempt, line) for line in page.lines])
        return answer

    async def ListTrainingJobEvents(
        self, request: pb.ListTrainingJobEventsRequest, context: Context
    ) -> pb.ListTrainingJobEventsResponse:
        limit = number(request, "limit", 50, most=500)
        await self._training.get(request.job_id)
        items, total = await self._training.store.history(request.job_id, limit)
        answer = pb.ListTrainingJobEventsResponse(job_id=request.job_id, total=total)
        answer.events.extend([to_event(request.job_id, item) for item in items])
        return answer

    async def WatchTrainingJobProgress(
        self, request: pb.WatchTrainingJobProgressRequest, context: Context
    ) -> AsyncIterator[pb.WatchTrainingJobProgressResponse]:
        async for message in self._watches.progress(request.job_id, request.resume_token):
            yield message

    async def WatchTrainingJobLogs(
        self, request: pb.WatchTrainingJobLogsRequest, context: Context
    ) -> AsyncIterator[pb.WatchTrainingJobLogsResponse]:
        async for message in self._watches.logs(request.job_id, request.resume_token, tail_of(request)):
            yield message

    async def WatchTrainingJobEvents(
        self, request: pb.WatchTrainingJobEventsRequest, context: Context
    ) -> AsyncIterator[pb.WatchTrainingJobEventsResponse]:
        async for message in self._watches.events(request.job_id, request.resume_token):
            yield message

    # ---------------------------------------------------------------- parameters and health

    async def GetDefaultParams(
        self, request: pb.GetDefaultParamsRequest, context: Context
    ) -> pb.GetDefaultParamsResponse:
        return catalogue.default_params(request.trainer_type)

    async def ListSupportedTypes(
        self, request: pb.ListSupportedTypesRequest, context: Context
    ) -> pb.ListSupportedTypesResponse:
        return catalogue.supported_types()

    async def CompareParams(
        self, request: pb.CompareParamsRequest, context: Context
    ) -> pb.CompareParamsResponse:
        return catalogue.comparison()

    async def GetHealth(self, request: pb.GetHealthRequest, context: Context) -> pb.Health:
        health = await self._health.ask()
        if health.status != pb.HEALTH_STATUS_HEALTHY:
            await context.send_initial_metadata((("x-http-code", "503"),))
        return health

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Context) -> HttpBody:
        return metrics()


def started(job: Job, answer: Answer | None = None) -> pb.TrainingJobActionResponse:
    """What a start call says."""
    told = created(job, answer)
    return pb.TrainingJobActionResponse(job_id=job.id, status=told.status, message=told.message)


def stopped(job: Job) -> pb.TrainingJobActionResponse:
    """What a stop call says."""
    text = "Stopped. Its processes are being ended; its GPUs are free when they are gone."
    return pb.TrainingJobActionResponse(job_id=job.id, status=job_pb2.JOB_STATUS_CANCELLED, message=text)


def exporting(job: Job) -> pb.TrainingJobActionResponse:
    """What an export call says."""
    text = "The export runs. export_completed and export_path tell when and where."
    return pb.TrainingJobActionResponse(job_id=job.id, status=job_pb2.JOB_STATUS_EXPORTING, message=text)


def deleted(total: int) -> pb.DeleteTrainingJobsResponse:
    """What a call that deletes all jobs says."""
    return pb.DeleteTrainingJobsResponse(
        success=True, deleted_count=total, total_count=total, message=f"{total} jobs were deleted."
    )


def created(job: Job, answer: Answer | None = None) -> pb.CreateTrainingJobResponse:
    """What a create call says: pending, or queued with the place in the queue."""
    if answer and not answer.granted:
        return pb.CreateTrainingJobResponse(
            job_id=job.id,
            status=job_pb2.JOB_STATUS_QUEUED,
            message=f"Queued at position {answer.position}: {answer.reason}",
            queue_position=answer.position,
            estimated_wait_time=about(answer.wait),
        )
    response = pb.CreateTrainingJobResponse(job_id=job.id, status=status(job.state), message=_told(job))
    if job.state is State.QUEUED:
        response.queue_position = job.queue_position
        response.estimated_wait_time = about(job.estimated_wait)
    return response


def _told(job: Job) -> str:
    match job.state:
        case State.PENDING if job.submitted:
            return "GPUs are free: the job starts by itself."
        case State.PENDING:
            return f"Created. Start it with POST /training/jobs/{job.id}/start."
        case State.QUEUED:
            return f"Queued at position {job.queue_position}: {job.wait_reason}"
        case _:
            return f"The job is {job.state}."
