"""Servicers that do what a test tells them: the other end of a real channel. Doubles, and named as such."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2, empty_pb2
from google.rpc import error_details_pb2, status_pb2

from swiftlet.deploy.v1 import deploy_service_pb2 as deploy_pb
from swiftlet.deploy.v1 import deploy_service_pb2_grpc, deployment_pb2
from swiftlet.gpu.v1 import gpu_pb2, gpu_service_pb2_grpc, queue_pb2
from swiftlet.gpu.v1 import gpu_service_pb2 as gpu_pb
from swiftlet.training.v1 import job_pb2, params_pb2, training_service_pb2_grpc
from swiftlet.training.v1 import training_service_pb2 as training_pb

DONE = job_pb2.JobStatus.JOB_STATUS_COMPLETED


@dataclass
class Refusal:
    """An error that a servicer answers with, as the services write it."""

    code: grpc.StatusCode
    reason: str = ""
    message: str = "no"
    metadata: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    retry_after: float | None = None

    async def abort(self, context: Any) -> None:
        await context.abort(self.code, self.message, self._trailers())

    def _trailers(self) -> tuple[tuple[str, bytes], ...]:
        if not self.reason:
            return ()
        parts: list[Any] = [
            error_details_pb2.ErrorInfo(reason=self.reason, domain="swiftlet", metadata=self.metadata)
        ]
        if self.fields:
            violation = error_details_pb2.BadRequest.FieldViolation
            listed = [violation(field=name, description=why) for name, why in self.fields.items()]
            parts.append(error_details_pb2.BadRequest(field_violations=listed))
        if self.retry_after is not None:
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromMilliseconds(round(self.retry_after * 1000))
            parts.append(retry)
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        for part in parts:
            packed = any_pb2.Any()
            packed.Pack(part)
            status.details.append(packed)
        return (("grpc-status-details-bin", status.SerializeToString()),)


def page_of(lines: list[str], request: Any) -> tuple[list[str], int]:
    """The lines of a page, three at the most where a text is looked for, and where to read on.

    One byte a line keeps offsets easy to read.
    """
    if request.HasField("line"):
        start = request.line - 1
    elif request.HasField("offset"):
        start = int(request.offset)
    else:
        start = max(len(lines) - request.limit, 0)
    end = min(start + (3 if request.search else request.limit), len(lines))
    return [line for line in lines[start:end] if request.search in line], end


class TrainingDouble(training_service_pb2_grpc.TrainingServiceServicer):
    """Keeps jobs in a dict; refuses what it is told to; cuts streams where it is told to."""

    def __init__(self) -> None:
        self.jobs: dict[str, job_pb2.TrainingJob] = {}
        self.created: list[training_pb.CreateTrainingJobRequest] = []
        self.refusals: deque[Refusal] = deque()
        self.lines: list[str] = []
        self.log_calls: list[training_pb.ListTrainingJobLogsRequest] = []
        self.steps: list[job_pb2.Progress] = []
        self.cuts: dict[int, Refusal | None] = {}
        self.tokens: list[str] = []
        self.params = training_pb.CompareParamsResponse()
        self.healthy = True
        self.outputs = training_pb.OutputsStatus(used_bytes=2**30)

    async def _maybe_refuse(self, context: Any) -> None:
        if self.refusals:
            await self.refusals.popleft().abort(context)

    async def _find(self, job_id: str, context: Any) -> job_pb2.TrainingJob:
        await self._maybe_refuse(context)
        if job_id not in self.jobs:
            missing = {"resource": "training job", "id": job_id}
            await Refusal(
                grpc.StatusCode.NOT_FOUND, "NOT_FOUND", f"There is no training job {job_id!r}.", missing
            ).abort(context)
        return self.jobs[job_id]

    async def CreateTrainingJob(self, request: Any, context: Any) -> Any:
        self.created.append(request)
        await self._maybe_refuse(context)
        job_id = request.job_id or f"job-{len(self.created)}"
        status = job_pb2.JobStatus.JOB_STATUS_PENDING
        self.jobs[job_id] = job_pb2.TrainingJob(id=job_id, status=status, model_path=request.model_path)
        return training_pb.CreateTrainingJobResponse(job_id=job_id, status=status, message="It starts now.")

    async def GetTrainingJob(self, request: Any, context: Any) -> Any:
        return await self._find(request.job_id, context)

    async def GetTrainingJobProgress(self, request: Any, context: Any) -> Any:
        await self._find(request.job_id, context)
        return job_pb2.Progress(job_id=request.job_id, phase="ended")

    async def ListTrainingJobs(self, request: Any, context: Any) -> Any:
        await self._maybe_refuse(context)
        jobs = [job for job in self.jobs.values() if request.status in (0, job.status)]
        start = int(request.page_token or 0)
        end = start + request.size
        return training_pb.ListTrainingJobsResponse(
            jobs=jobs[start:end], total=len(jobs), next_page_token=str(end) if end < len(jobs) else ""
        )

    async def StopTrainingJob(self, request: Any, context: Any) -> Any:
        job = await self._find(request.job_id, context)
        job.status = job_pb2.JobStatus.JOB_STATUS_CANCELLED
        return training_pb.TrainingJobActionResponse(job_id=job.id, status=job.status, message="Stopped.")

    async def DeleteTrainingJob(self, request: Any, context: Any) -> Any:
        await self._find(request.job_id, context)
        del self.jobs[request.job_id]
        return empty_pb2.Empty()

    async def DeleteTrainingJobs(self, request: Any, context: Any) -> Any:
        count = len(self.jobs)
        self.jobs.clear()
        return training_pb.DeleteTrainingJobsResponse(success=True, message=f"{count} jobs are deleted.")

    async def ListTrainingJobLogs(self, request: Any, context: Any) -> Any:
        await self._find(request.job_id, context)
        self.log_calls.append(request)
        logs, end = page_of(self.lines, request)
        found = [job_pb2.LogLine(message=line, level="INFO") for line in logs]
        attempt = request.attempt or 1
        return training_pb.ListTrainingJobLogsResponse(
            logs=found, total=len(self.lines), next_offset=end, attempt=attempt
        )

    async def WatchTrainingJobLogs(self, request: Any, context: Any) -> AsyncIterator[Any]:
        await self._find(request.job_id, context)
        async for at in self._places(request, len(self.lines), context):
            line = job_pb2.LogLine(message=self.lines[at], job_id=request.job_id, level="INFO")
            yield training_pb.WatchTrainingJobLogsResponse(logs=[line], resume_token=str(at + 1))
            yield training_pb.WatchTrainingJobLogsResponse(checkpoint=True, resume_token=str(at + 1))
        if not context.done():
            yield training_pb.WatchTrainingJobLogsResponse(done=True, resume_token=str(len(self.lines)))

    async def WatchTrainingJobProgress(self, request: Any, context: Any) -> AsyncIterator[Any]:
        job = await self._find(request.job_id, context)
        async for at in self._places(request, len(self.steps), context):
            yield training_pb.WatchTrainingJobProgressResponse(
                progress=self.steps[at], resume_token=str(at + 1)
            )
        last = self.steps[-1] if self.steps else None
        yield training_pb.WatchTrainingJobProgressResponse(progress=last, resume_token="end", done=True)
        if job.status == job_pb2.JobStatus.JOB_STATUS_PENDING:
            job.status = DONE

    async def _places(self, request: Any, count: int, context: Any) -> AsyncIterator[int]:
        """Where the stream goes on, with its cuts: a refusal, or None for an end without a word."""
        self.tokens.append(request.resume_token)
        await self._maybe_refuse(context)
        for at in range(int(request.resume_token or 0), count):
            if at in self.cuts:
                refusal = self.cuts.pop(at)
                await (refusal or Refusal(grpc.StatusCode.UNAVAILABLE)).abort(context)
            yield at

    async def ListTrainingJobEvents(self, request: Any, context: Any) -> Any:
        await self._find(request.job_id, context)
        event = job_pb2.JobEvent(
            id="1", type="training.job.created", message="Created.", job_id=request.job_id
        )
        return training_pb.ListTrainingJobEventsResponse(job_id=request.job_id, events=[event], total=1)

    async def CompareParams(self, request: Any, context: Any) -> Any:
        rank = params_pb2.ParamInfo(name="lora_rank", description="Rank.", range="1 to 4096")
        rank.default.number_value = 16
        return training_pb.CompareParamsResponse(common_params=[rank])

    async def GetHealth(self, request: Any, context: Any) -> Any:
        status = training_pb.HealthStatus
        word = status.HEALTH_STATUS_HEALTHY if self.healthy else status.HEALTH_STATUS_UNHEALTHY
        disk = training_pb.DiskStatus(path="/data", used_bytes=95 * 2**30, total_bytes=100 * 2**30, high=True)
        return training_pb.Health(
            status=word, services={"redis": "healthy"}, version="0.1.0", disks=[disk], outputs=self.outputs
        )


class GpuDouble(gpu_service_pb2_grpc.GpuServiceServicer):
    """One GPU, a queue from a list, and snapshots of it to be watched."""

    def __init__(self) -> None:
        self.items: list[queue_pb2.QueueItem] = []
        self.gpus: list[gpu_pb2.Gpu] = []
        self.snapshots: list[list[queue_pb2.QueueItem]] = []
        self.expired: set[str] = set()
        self.tokens: list[str] = []

    async def ListGpus(self, request: Any, context: Any) -> Any:
        status = gpu_pb2.GpuStatus.GPU_STATUS_ALLOCATED
        gpu = gpu_pb2.Gpu(id=0, name="H100", status=status, memory_total=81559, memory_used=1024, job_id="a")
        return gpu_pb.ListGpusResponse(gpus=self.gpus or [gpu], total=1)

    async def ListQueue(self, request: Any, context: Any) -> Any:
        return gpu_pb.ListQueueResponse(queue_items=self.items, total_queued=len(self.items))

    async def GetQueueItem(self, request: Any, context: Any) -> Any:
        found = next((item for item in self.items if item.job_id == request.job_id), None)
        return found or await Refusal(grpc.StatusCode.NOT_FOUND, "NOT_FOUND").abort(context)

    async def WatchQueue(self, request: Any, context: Any) -> AsyncIterator[Any]:
        self.tokens.append(request.resume_token)
        if request.resume_token in self.expired:
            await Refusal(grpc.StatusCode.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED").abort(context)
        for number, items in enumerate(self.snapshots):
            yield gpu_pb.WatchQueueResponse(
                queue_items=items, total_queued=len(items), resume_token=f"t{number}"
            )

    async def MoveQueueItem(self, request: Any, context: Any) -> Any:
        message = f"{request.job_id} has priority {request.priority}."
        return gpu_pb.QueueActionResponse(job_id=request.job_id, message=message)


class DeployDouble(deploy_service_pb2_grpc.DeployServiceServicer):
    """Deployments that pass through the statuses that they are given."""

    def __init__(self) -> None:
        self.created: list[deploy_pb.CreateDeploymentRequest] = []
        self.deployments: dict[str, deployment_pb2.Deployment] = {}
        self.statuses: list[str] = ["pending", "running"]
        self.lines: list[str] = []

    async def CreateDeployment(self, request: Any, context: Any) -> Any:
        self.created.append(request)
        job_id = request.job_id or f"serve-{len(self.created)}"
        self.deployments[job_id] = deployment_pb2.Deployment(job_id=job_id, url=f"/serve/{job_id}/v1")
        self._put(job_id, "pending")
        return deploy_pb.CreateDeploymentResponse(job_id=job_id, port=20001)

    async def GetDeployment(self, request: Any, context: Any) -> Any:
        return self.deployments[request.job_id]

    async def DeleteDeployment(self, request: Any, context: Any) -> Any:
        del self.deployments[request.job_id]
        return empty_pb2.Empty()

    async def ListDeployments(self, request: Any, context: Any) -> Any:
        listed = list(self.deployments.values())
        start = (request.page - 1) * request.size
        return deploy_pb.ListDeploymentsResponse(
            deployments=listed[start : start + request.size], total=len(listed)
        )

    async def ListDeploymentLogs(self, request: Any, context: Any) -> Any:
        logs, end = page_of(self.lines, request)
        found = [deployment_pb2.DeployLogLine(message=line, level="INFO") for line in logs]
        return deploy_pb.ListDeploymentLogsResponse(logs=found, next_offset=end, attempt=1)

    async def WatchDeployment(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for number, word in enumerate(self.statuses):
            self._put(request.job_id, word)
            yield deploy_pb.WatchDeploymentResponse(
                deployment=self.deployments[request.job_id], resume_token=str(number)
            )

    def _put(self, job_id: str, word: str) -> None:
        name = f"DEPLOY_STATUS_{word.upper()}"
        self.deployments[job_id].status = deployment_pb2.DeployStatus.Value(name)


@dataclass
class Suite:
    """Three doubles behind one port."""

    address: str
    training: TrainingDouble
    gpu: GpuDouble
    deploy: DeployDouble
