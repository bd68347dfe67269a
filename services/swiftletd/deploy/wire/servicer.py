"""DeployService: each method parses, calls one use case, and answers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import grpc.aio
from google.api.httpbody_pb2 import HttpBody
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from swiftlet.deploy.v1 import deploy_service_pb2 as pb
from swiftlet.deploy.v1 import deploy_service_pb2_grpc as rpc
from swiftlet.deploy.v1 import deployment_pb2
from swiftletd.deploy.domain.deployment import Deployment, State
from swiftletd.deploy.ports import Answer
from swiftletd.deploy.usecases import Deploying
from swiftletd.deploy.wire import convert
from swiftletd.deploy.wire.queue import Queue
from swiftletd.deploy.wire.watch import Watches, run_of
from swiftletd.kernel.clock import Clock
from swiftletd.kernel.errors import InvalidArgument, Violation
from swiftletd.kernel.idempotency import Once
from swiftletd.kernel.rpc.exposition import metrics
from swiftletd.kernel.rpc.fields import log_place, number, tail_of
from swiftletd.kernel.rpc.idempotent import once

Context = grpc.aio.ServicerContext[Any, Any]
M = TypeVar("M", bound=Message)


class DeployServicer(rpc.DeployServiceServicer):
    """See deploy_service.proto."""

    def __init__(self, deploying: Deploying, queue: Queue, watches: Watches, clock: Clock) -> None:
        self._deploying, self._queue, self._watches, self._clock = deploying, queue, watches, clock

    async def CreateDeployment(
        self, request: pb.CreateDeploymentRequest, context: Context
    ) -> pb.CreateDeploymentResponse:
        new, call = convert.to_new_deployment(request, self._clock.now()), once(request, created)
        it, answer = await self._deploying.create(new, call, auto_start=request.auto_start)
        return await self._told(call, answer, created(it, answer))

    async def _told(self, call: Once[Deployment], answer: Answer | None, said: M) -> M:
        """What is said; a repeat gets the place in the queue too."""
        if answer and not answer.granted:
            await self._deploying.store.improve(call, said.SerializeToString())
        return said

    async def ListDeployments(
        self, request: pb.ListDeploymentsRequest, context: Context
    ) -> pb.ListDeploymentsResponse:
        page, size = number(request, "page", 1), number(request, "size", 10, most=100)
        found = await self._deploying.store.page(convert.state_word(request.status), (page - 1) * size, size)
        messages = [self._message(it) for it in found.deployments]
        return pb.ListDeploymentsResponse(deployments=messages, total=found.total, page=page, size=size)

    def _message(self, it: Deployment) -> deployment_pb2.Deployment:
        return convert.to_deployment(it, self._deploying.servers.log_path(run_of(it)))

    async def StartDeployment(
        self, request: pb.StartDeploymentRequest, context: Context
    ) -> pb.DeploymentActionResponse:
        call = once(request, action)
        it, answer = await self._deploying.start(request.job_id, call)
        return await self._told(call, answer, action(it, answer))

    async def StopDeployment(
        self, request: pb.StopDeploymentRequest, context: Context
    ) -> pb.DeploymentActionResponse:
        return stopped(await self._deploying.stop(request.job_id, once(request, stopped)))

    async def DeleteDeployment(self, request: pb.DeleteDeploymentRequest, context: Context) -> Empty:
        await self._deploying.delete(request.job_id, once(request, lambda _: Empty()))
        return Empty()

    async def GetDeployment(
        self, request: pb.GetDeploymentRequest, context: Context
    ) -> deployment_pb2.Deployment:
        return self._message(await self._deploying.get(request.job_id))

    async def ListDeploymentLogs(
        self, request: pb.ListDeploymentLogsRequest, context: Context
    ) -> pb.ListDeploymentLogsResponse:
        limit, (offset, line) = number(request, "limit", 100, most=1000), log_place(request)
        asked = number(request, "attempt", 0)
        it, servers = await self._deploying.get(request.job_id), self._deploying.servers
        attempt = asked or (it.attempt.number if it.attempt else it.next_attempt)
        entry = it.entry(attempt)
        if line:
            offset = await servers.line_offset(entry, line)
        elif offset is None and not request.search:
            offset = await servers.tail(entry, limit)
        lines, end = await servers.read_log(entry, offset or 0, limit, request.search)
        total = await servers.count_lines(entry)
        logs = [convert.to_line(it.id, line) for line in lines]
        return pb.ListDeploymentLogsResponse(
            job_id=it.id, logs=logs, total=total, next_offset=end, attempt=attempt
        )

    async def WatchDeployment(
        self, request: pb.WatchDeploymentRequest, context: Context
    ) -> AsyncIterator[pb.WatchDeploymentResponse]:
        async for message in self._watches.state(request.job_id, request.resume_token):
            yield message

    async def WatchDeploymentLogs(
        self, request: pb.WatchDeploymentLogsRequest, context: Context
    ) -> AsyncIterator[pb.WatchDeploymentLogsResponse]:
        async for message in self._watches.logs(request.job_id, request.resume_token, tail_of(request)):
            yield message

    async def ListDeployQueue(
        self, request: pb.ListDeployQueueRequest, context: Context
    ) -> pb.ListDeployQueueResponse:
        return await self._queue.list()

    async def AddToDeployQueue(
        self, request: pb.AddToDeployQueueRequest, context: Context
    ) -> pb.DeployQueueActionResponse:
        priority = request.priority if request.HasField("priority") else None
        _check([*convert.port_rules(request), *convert.priority_rules(priority or 0)])
        call = once(request, queued)
        it, answer = await self._deploying.start(request.job_id, call, port=request.port, priority=priority)
        return await self._told(call, answer, queued(it, answer))

    async def RemoveFromDeployQueue(
        self, request: pb.RemoveFromDeployQueueRequest, context: Context
    ) -> pb.DeployQueueActionResponse:
        return taken_out(await self._deploying.take_out(request.job_id, once(request, taken_out)))

    async def GetMetrics(self, request: pb.GetMetricsRequest, context: Context) -> HttpBody:
        return metrics()


def created(it: Deployment, answer: Answer | None = None) -> pb.CreateDeploymentResponse:
    """What a create call says."""
    idle = not (it.submitted or it.alive)
    text = f"Created. Start it with POST /deploy/jobs/{it.id}/start." if idle else told(it, answer)
    state = State.QUEUED if answer and not answer.granted else it.state
    return pb.CreateDeploymentResponse(job_id=it.id, status=convert.status(state), port=it.port, message=text)


def stopped(it: Deployment) -> pb.DeploymentActionResponse:
    """What a stop call says."""
    text = "Stopped. Its port and its GPUs are free when its processes are gone."
    return pb.DeploymentActionResponse(job_id=it.id, status=convert.status(it.state), message=text)


def queued(it: Deployment, answer: Answer | None = None) -> pb.DeployQueueActionResponse:
    """What a call that puts it in the queue says."""
    return pb.DeployQueueActionResponse(job_id=it.id, message=told(it, answer))


def taken_out(it: Deployment) -> pb.DeployQueueActionResponse:
    """What a call that takes it out of the queue says."""
    return pb.DeployQueueActionResponse(job_id=it.id, message="Taken out of the queue; /start puts it back.")


def action(it: Deployment, answer: Answer | None = None) -> pb.DeploymentActionResponse:
    """What a start call says."""
    state = State.QUEUED if answer and not answer.granted else it.state
    return pb.DeploymentActionResponse(job_id=it.id, status=convert.status(state), message=told(it, answer))


def told(it: Deployment, answer: Answer | None) -> str:
    """Where it stands, in a sentence."""
    if answer and not answer.granted:
        return f"Queued at position {answer.position}: {answer.reason}"
    match it.state:
        case State.QUEUED:
            return f"Queued at position {it.queue_position}: {it.wait_reason}"
        case State.RUNNING:
            return f"It serves at /serve/{it.id}/v1 already."
        case State.PENDING if it.submitted or it.alive:
            return "Its model server is being started; it is running when it has answered."
        case _:
            return f"It is {it.state}."


def _check(rules: list[tuple[str, bool, str]]) -> None:
    faults = [Violation(field, message) for field, ok, message in rules if not ok]
    if faults:
        raise InvalidArgument(faults)
