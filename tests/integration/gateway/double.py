"""A double of the training service behind a real gateway: a real gRPC server whose answers are made up."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import grpc.aio
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from swiftlet.training.v1 import job_pb2, training_service_pb2, training_service_pb2_grpc
from swiftletd.kernel.errors import NotFound, invalid
from swiftletd.kernel.rpc.call import Wrapped
from swiftletd.kernel.rpc.interceptors.errors import map_errors
from swiftletd.kernel.rpc.interceptors.request_id import request_id

SERVICE = "swiftlet.training.v1.TrainingService"


class Training(training_service_pb2_grpc.TrainingServiceServicer):
    """Remembers what it was asked; some job ids have a meaning."""

    def __init__(self) -> None:
        self.requests: list[object] = []
        self.metadata: dict[str, str] = {}
        self.time_left: float | None = None
        self.next_line = asyncio.Event()
        self.watchers_gone = threading.Event()

    def _note(self, request, context) -> None:
        self.requests.append(request)
        self.metadata = dict(context.invocation_metadata())
        self.time_left = context.time_remaining()

    async def CreateTrainingJob(self, request, context):
        self._note(request, context)
        if not request.data_path:
            raise invalid("data_path", "is required")
        if request.job_id == "slow":
            await asyncio.sleep(30)
        return training_service_pb2.CreateTrainingJobResponse(
            job_id=request.job_id or "made-up", status=job_pb2.JOB_STATUS_PENDING
        )

    async def CreateTypedTrainingJob(self, request, context):
        self._note(request, context)
        return training_service_pb2.CreateTrainingJobResponse(job_id="made-up")

    async def ListTrainingJobs(self, request, context):
        self._note(request, context)
        jobs = [job_pb2.TrainingJob(id="a", status=request.status)]
        return training_service_pb2.ListTrainingJobsResponse(jobs=jobs, page=request.page, size=request.size)

    async def GetTrainingJob(self, request, context):
        self._note(request, context)
        if request.job_id == "missing":
            raise NotFound("training job", "missing")
        if request.job_id == "broken":
            raise RuntimeError("a secret")
        if request.job_id == "slow":
            await asyncio.sleep(30)
        if request.job_id == "huge":
            return job_pb2.TrainingJob(id="huge", error_message="x" * (5 * 1024 * 1024))
        return job_pb2.TrainingJob(id=request.job_id, status=job_pb2.JOB_STATUS_RUNNING)

    async def StopTrainingJob(self, request, context):
        self._note(request, context)
        return training_service_pb2.TrainingJobActionResponse(job_id=request.job_id)

    async def DeleteTrainingJob(self, request, context):
        self._note(request, context)
        return Empty()

    async def GetDefaultParams(self, request, context):
        self._note(request, context)
        return training_service_pb2.GetDefaultParamsResponse(trainer_type=request.trainer_type)

    async def WatchTrainingJobLogs(self, request, context) -> AsyncIterator[object]:
        self._note(request, context)
        if request.job_id == "missing":
            raise NotFound("training job", "missing")
        try:
            for number in range(3):
                line = job_pb2.LogLine(message=f"line {number}")
                yield training_service_pb2.WatchTrainingJobLogsResponse(logs=[line], resume_token=str(number))
                await asyncio.wait_for(self.next_line.wait(), 20)
                self.next_line.clear()
            if request.job_id == "breaks":
                raise NotFound("training job", "breaks")
            yield training_service_pb2.WatchTrainingJobLogsResponse(done=True)
        finally:
            self.watchers_gone.set()

    async def GetHealth(self, request, context):
        await context.send_initial_metadata([("x-http-code", "503")])
        return training_service_pb2.Health(status=training_service_pb2.HEALTH_STATUS_UNHEALTHY)

    async def GetMetrics(self, request, context):
        return HttpBody(content_type="text/plain; version=0.0.4", data=b"swiftlet_rpcs_total 1\n")


class TrainingProcess:
    """The double on a Unix socket, in a thread of its own."""

    def __init__(self, socket: str) -> None:
        self.socket = socket
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    def start(self) -> None:
        self._thread.start()
        assert self._started.wait(10), "the double did not start"

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)

    def send_next_line(self) -> None:
        self.loop.call_soon_threadsafe(self.training.next_line.set)

    async def _run(self) -> None:
        self.loop, self._end, self.training = asyncio.get_running_loop(), asyncio.Event(), Training()
        server = grpc.aio.server()
        add = training_service_pb2_grpc.add_TrainingServiceServicer_to_server
        Wrapped(server, [request_id, map_errors]).add(lambda s: add(self.training, s))
        health = HealthServicer()
        await health.set(SERVICE, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        reflection.enable_server_reflection([SERVICE, reflection.SERVICE_NAME], server)
        server.add_insecure_port(f"unix:{self.socket}")
        await server.start()
        self._started.set()
        await self._end.wait()
        await server.stop(0)
