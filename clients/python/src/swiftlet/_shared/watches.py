"""What can be watched: what each message of a stream brings, and how a stream goes on after a break."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from swiftlet._shared import errors
from swiftlet._shared.config import Retry
from swiftlet.deploy.v1 import deploy_service_pb2, deployment_pb2
from swiftlet.gpu.v1 import gpu_pb2, gpu_service_pb2, queue_pb2
from swiftlet.training.v1 import job_pb2, training_service_pb2


class Resumable(Protocol):
    """A request or a response of a stream."""

    resume_token: str


RequestT = TypeVar("RequestT", bound=Resumable)
ResponseT = TypeVar("ResponseT", bound=Resumable)
ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Watch(Generic[RequestT, ResponseT, ItemT]):
    """One stream: how it begins, the items in a message, and which message is the last.

    `snapshots` is true where each item is the whole state, so that beginning anew loses nothing.
    """

    request: RequestT
    items: Callable[[ResponseT], Iterable[ItemT]]
    last: Callable[[ResponseT], bool]
    snapshots: bool


class Resumption:
    """Decides what follows when a stream breaks: another one, after which delay, or the error."""

    def __init__(
        self,
        retry: Retry,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._retry, self._clock, self._jitter = retry, clock, jitter
        self._failures, self._last_message = 0, clock()

    def moved(self) -> None:
        """A message came: whatever breaks later begins with short delays again."""
        self._failures, self._last_message = 0, self._clock()

    def after_end(self) -> float:
        """Seconds to wait after a stream that ended without its last message."""
        return self.after(errors.Unavailable("The stream was cut off. Watch again."))

    def after(self, error: errors.SwiftletError) -> float:
        """Seconds to wait after an error; raises the error where going on is of no use."""
        waited = self._clock() - self._last_message
        if not isinstance(error, _PASSING) or waited >= self._retry.give_up_after:
            raise error
        delay: float = min(self._retry.first_delay * 2**self._failures, self._retry.longest_delay)
        self._failures = min(self._failures + 1, 16)
        return delay * (0.5 + self._jitter() / 2)


_PASSING = (errors.Unavailable, errors.WatcherTooSlow)


def progress(
    job_id: str,
) -> Watch[
    training_service_pb2.WatchTrainingJobProgressRequest,
    training_service_pb2.WatchTrainingJobProgressResponse,
    job_pb2.Progress,
]:
    """The progress of a job, until it has ended."""
    return Watch(
        training_service_pb2.WatchTrainingJobProgressRequest(job_id=job_id),
        lambda message: [message.progress] if message.HasField("progress") else [],
        lambda message: message.done,
        snapshots=True,
    )


def logs(
    job_id: str, tail: int | None
) -> Watch[
    training_service_pb2.WatchTrainingJobLogsRequest,
    training_service_pb2.WatchTrainingJobLogsResponse,
    job_pb2.LogLine,
]:
    """The log of a job, until it has ended."""
    return Watch(
        training_service_pb2.WatchTrainingJobLogsRequest(job_id=job_id, tail=tail),
        lambda message: message.logs,
        lambda message: message.done,
        snapshots=False,
    )


def events(
    job_id: str,
) -> Watch[
    training_service_pb2.WatchTrainingJobEventsRequest,
    training_service_pb2.WatchTrainingJobEventsResponse,
    job_pb2.JobEvent,
]:
    """What happens to a job, until it has ended."""
    return Watch(
        training_service_pb2.WatchTrainingJobEventsRequest(job_id=job_id),
        lambda message: [message.event] if message.HasField("event") else [],
        lambda message: message.done,
        snapshots=False,
    )


def gpus() -> Watch[gpu_service_pb2.WatchGpusRequest, gpu_service_pb2.WatchGpusResponse, list[gpu_pb2.Gpu]]:
    """All GPUs after each change, for ever."""
    return Watch(
        gpu_service_pb2.WatchGpusRequest(),
        lambda message: [] if message.checkpoint else [list(message.gpus)],
        lambda message: False,
        snapshots=True,
    )


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits: the first items in order, and how many there are in all."""

    items: tuple[queue_pb2.QueueItem, ...] = ()
    total: int = field(default=0)

    def find(self, job_id: str) -> queue_pb2.QueueItem | None:
        """The item of a job or deployment; None if it isn't among the first."""
        return next((item for item in self.items if item.job_id == job_id), None)


def queue() -> Watch[gpu_service_pb2.WatchQueueRequest, gpu_service_pb2.WatchQueueResponse, Queue]:
    """The queue after each change, for ever."""
    return Watch(
        gpu_service_pb2.WatchQueueRequest(),
        lambda message: (
            [] if message.checkpoint else [Queue(tuple(message.queue_items), message.total_queued)]
        ),
        lambda message: False,
        snapshots=True,
    )


def deployment(
    job_id: str,
) -> Watch[
    deploy_service_pb2.WatchDeploymentRequest,
    deploy_service_pb2.WatchDeploymentResponse,
    deployment_pb2.Deployment,
]:
    """A deployment after each change, until it has ended."""
    return Watch(
        deploy_service_pb2.WatchDeploymentRequest(job_id=job_id),
        lambda message: [message.deployment] if message.HasField("deployment") else [],
        lambda message: message.done,
        snapshots=True,
    )


def deployment_logs(
    job_id: str, tail: int | None
) -> Watch[
    deploy_service_pb2.WatchDeploymentLogsRequest,
    deploy_service_pb2.WatchDeploymentLogsResponse,
    deployment_pb2.DeployLogLine,
]:
    """The log of a model server, until it has ended."""
    return Watch(
        deploy_service_pb2.WatchDeploymentLogsRequest(job_id=job_id, tail=tail),
        lambda message: message.logs,
        lambda message: message.done,
        snapshots=False,
    )
