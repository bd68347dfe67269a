# Made by make_sync.py from the async client. Change that one.
"""The sync client of a Swiftlet suite."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self, Unpack

from swiftlet._shared import requests, watches
from swiftlet._shared.config import Address, Config, Retry
from swiftlet._shared.options import DeployOptions, JobOptions, Time
from swiftlet._shared.pages import Page
from swiftlet._shared.requests import JobFilter
from swiftlet._shared.watches import Queue
from swiftlet._shared.words import DeployStatus, JobStatus
from swiftlet._sync.connection import Connection
from swiftlet._sync.deployment import Deployment
from swiftlet._sync.job import Job
from swiftlet._sync.pager import Pager
from swiftlet.deploy.v1 import deployment_pb2
from swiftlet.gpu.v1 import gpu_pb2, gpu_service_pb2, queue_pb2
from swiftlet.training.v1 import job_pb2, training_service_pb2


class Client:
    """A client of the suite that listens at `address`, by its gRPC API.

    `address` is `host:port` or a URL; without one it is SWIFTLET_ADDRESS, else 127.0.0.1:8000. A call
    that has no answer after `timeout` seconds raises DeadlineExceeded. Calls that the suite refuses
    as unavailable are repeated and broken streams are resumed, as `retry` says; `Retry.off()` turns
    both off. It may be used by many threads. Every method raises errors of `SwiftletError`.
    """

    def __init__(
        self, address: str | None = None, *, timeout: float = 30.0, retry: Retry | None = None
    ) -> None:
        self._config = Config(address=Address.parse(address), timeout=timeout, retry=retry or Retry())
        self._connection = Connection(self._config)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """Where the suite listens: `host:port`."""
        return self._config.address.target

    def close(self) -> None:
        """Close the connection. Jobs go on."""
        self._connection.close()

    # --- training ---------------------------------------------------------------------------------

    def train(
        self,
        model: str,
        data: str,
        output_dir: str,
        *,
        task: str = "llm",
        method: str = "sft",
        wait: bool = False,
        **options: Unpack[JobOptions],
    ) -> Job:
        """Fine-tune `model` on `data`; both are local paths or hub ids.

        `task` is llm or mllm, `method` sft, pt or rlhf. `options` are training parameters
        (`lora_rank=16`), what the job needs (`gpus=2`) and when it may run (`priority=5`). With `wait`
        it comes back when the model is exported, and raises JobFailed if that went wrong. Relative
        paths are meant as seen from here, if the suite runs on this machine.
        """
        new = requests.NewJob(model=model, data=data, output_dir=output_dir, task=task, method=method)
        request = requests.create_job(new, options, resolve=self._config.address.is_loopback)
        created = self._connection.call(self._connection.training.CreateTrainingJob, request)
        job = Job(self._connection, job_pb2.TrainingJob(id=created.job_id, status=created.status), created)
        if wait:
            job.wait()
        return job

    def job(self, job_id: str) -> Job:
        """A job by its id; raises NotFound."""
        job = Job(self._connection, job_pb2.TrainingJob(id=job_id))
        job.refresh()
        return job

    def jobs(
        self,
        *,
        status: JobStatus | str | None = None,
        trainer_type: str | None = None,
        created_after: Time | None = None,
        created_before: Time | None = None,
        search: str = "",
        page_size: int = 50,
    ) -> Pager[Job]:
        """Jobs, newest first; `search` is a part of the id or the model. Pages are read as you go."""
        only = JobFilter(
            status=status,
            trainer_type=trainer_type,
            created_after=created_after,
            created_before=created_before,
            search=search,
        )

        def fetch(token: str) -> Page[Job]:
            request = requests.list_jobs(only, page_size, token)
            answer = self._connection.call(self._connection.training.ListTrainingJobs, request)
            jobs = [Job(self._connection, info) for info in answer.jobs]
            return Page(jobs, answer.total, answer.next_page_token)

        return Pager(fetch)

    def delete_jobs(self) -> training_service_pb2.DeleteTrainingJobsResponse:
        """Delete all jobs with their logs; raises WrongState while jobs run."""
        request = training_service_pb2.DeleteTrainingJobsRequest()
        return self._connection.call(self._connection.training.DeleteTrainingJobs, request)

    def params(self) -> training_service_pb2.CompareParamsResponse:
        """Every training parameter with its default, range and meaning."""
        request = training_service_pb2.CompareParamsRequest()
        return self._connection.call(self._connection.training.CompareParams, request)

    def health(self) -> training_service_pb2.Health:
        """Whether all parts of the suite answer."""
        return self._connection.call(
            self._connection.training.GetHealth, training_service_pb2.GetHealthRequest()
        )

    # --- GPUs and the queue -----------------------------------------------------------------------

    def gpus(self) -> list[gpu_pb2.Gpu]:
        """The GPUs, who holds them and until when."""
        answer = self._connection.call(self._connection.gpu.ListGpus, gpu_service_pb2.ListGpusRequest())
        return list(answer.gpus)

    def watch_gpus(self) -> Iterator[list[gpu_pb2.Gpu]]:
        """The GPUs now and after each change, for ever."""
        return self._connection.watch(self._connection.gpu.WatchGpus, watches.gpus())

    def system(self) -> gpu_service_pb2.SystemStatus:
        """Memory and load of the machine and of all GPUs together."""
        request = gpu_service_pb2.GetSystemStatusRequest()
        return self._connection.call(self._connection.gpu.GetSystemStatus, request)

    def queue(self, *, kind: str = "", limit: int = 100) -> Queue:
        """What waits for GPUs, in order; `kind` is training or deploy, empty for both."""
        request = gpu_service_pb2.ListQueueRequest(kind=kind, limit=limit)
        answer = self._connection.call(self._connection.gpu.ListQueue, request)
        return Queue(tuple(answer.queue_items), answer.total_queued)

    def watch_queue(self) -> Iterator[Queue]:
        """The queue now and after each change, for ever."""
        return self._connection.watch(self._connection.gpu.WatchQueue, watches.queue())

    def queue_item(self, job_id: str) -> queue_pb2.QueueItem:
        """Where a job or deployment stands in the queue; raises NotFound if it doesn't wait."""
        request = gpu_service_pb2.GetQueueItemRequest(job_id=job_id)
        return self._connection.call(self._connection.gpu.GetQueueItem, request)

    def move(self, job_id: str, priority: int) -> gpu_service_pb2.QueueActionResponse:
        """Give a waiting job or deployment another priority, 0 to 10."""
        request = gpu_service_pb2.MoveQueueItemRequest(job_id=job_id, priority=priority)
        return self._connection.call(self._connection.gpu.MoveQueueItem, request)

    def hold(self, job_id: str) -> gpu_service_pb2.QueueActionResponse:
        """Hold a waiting job or deployment back; it keeps its place."""
        request = gpu_service_pb2.HoldQueueItemRequest(job_id=job_id)
        return self._connection.call(self._connection.gpu.HoldQueueItem, request)

    def release(self, job_id: str) -> gpu_service_pb2.QueueActionResponse:
        """Let a held job or deployment wait for its turn again."""
        request = gpu_service_pb2.ReleaseQueueItemRequest(job_id=job_id)
        return self._connection.call(self._connection.gpu.ReleaseQueueItem, request)

    def dequeue(self, job_id: str) -> gpu_service_pb2.QueueActionResponse:
        """Take a job or deployment out of the queue; it stays, pending, and can be started again."""
        request = gpu_service_pb2.RemoveQueueItemRequest(job_id=job_id)
        return self._connection.call(self._connection.gpu.RemoveQueueItem, request)

    def process_queue(self) -> gpu_service_pb2.ProcessQueueResponse:
        """Make one scheduling pass now, also while the processor is stopped."""
        return self._connection.call(self._connection.gpu.ProcessQueue, gpu_service_pb2.ProcessQueueRequest())

    def processor(self) -> gpu_service_pb2.ProcessorStatus:
        """Whether GPUs are being granted."""
        request = gpu_service_pb2.GetProcessorStatusRequest()
        return self._connection.call(self._connection.gpu.GetProcessorStatus, request)

    def start_processor(self) -> gpu_service_pb2.ProcessorStatus:
        """Let GPUs be granted again."""
        return self._connection.call(
            self._connection.gpu.StartProcessor, gpu_service_pb2.StartProcessorRequest()
        )

    def stop_processor(self) -> gpu_service_pb2.ProcessorStatus:
        """Stop all granting of GPUs until it is started again. What runs goes on."""
        return self._connection.call(
            self._connection.gpu.StopProcessor, gpu_service_pb2.StopProcessorRequest()
        )

    def prediction_score(self) -> gpu_service_pb2.PredictionScore:
        """How often the predicted starts were kept."""
        request = gpu_service_pb2.GetPredictionScoreRequest()
        return self._connection.call(self._connection.gpu.GetPredictionScore, request)

    # --- deployments ------------------------------------------------------------------------------

    def deploy(self, model: str | Job, *, wait: bool = False, **options: Unpack[DeployOptions]) -> Deployment:
        """Serve a model: a job, the id of one, a local directory or a hub id.

        It starts at once, or when its GPUs are free, unless `auto_start` is false. With `wait` it
        comes back when the model server answers, and raises DeploymentFailed if it doesn't.
        """
        local = isinstance(model, str) and self._config.address.is_loopback
        request = requests.create_deployment(
            model if isinstance(model, str) else model.id, options, resolve=local
        )
        created = self._connection.call(self._connection.deploy.CreateDeployment, request)
        deployment = self.deployment(created.job_id)
        if wait:
            deployment.wait()
        return deployment

    def deployment(self, job_id: str) -> Deployment:
        """A deployment by its id; raises NotFound."""
        deployment = Deployment(self._connection, deployment_pb2.Deployment(job_id=job_id))
        deployment.refresh()
        return deployment

    def deployments(
        self, *, status: DeployStatus | str | None = None, page_size: int = 50
    ) -> Pager[Deployment]:
        """Deployments, newest first. Pages are read as you go."""

        def fetch(token: str) -> Page[Deployment]:
            page = int(token or 1)
            request = requests.list_deployments(status, page_size, page)
            answer = self._connection.call(self._connection.deploy.ListDeployments, request)
            more = str(page + 1) if page * page_size < answer.total else ""
            return Page(
                [Deployment(self._connection, info) for info in answer.deployments], answer.total, more
            )

        return Pager(fetch)
