"""The requests that have more to them than an id."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from swiftlet._shared import paths
from swiftlet._shared.fields import PARAMS, check_names, fill
from swiftlet._shared.options import DeployOptions, JobOptions, Time
from swiftlet._shared.words import number
from swiftlet.deploy.v1 import deploy_service_pb2, deployment_pb2
from swiftlet.training.v1 import job_pb2, training_service_pb2

_RESOURCES = frozenset(job_pb2.Resources.DESCRIPTOR.fields_by_name)
_DEPLOY_RESOURCES = frozenset(deployment_pb2.DeployResources.DESCRIPTOR.fields_by_name)


def identify(request: Any) -> None:
    """Give a message that asks for a change a fresh id: the server does it once, so a retry is safe."""
    if "request_id" in request.DESCRIPTOR.fields_by_name:
        request.request_id = uuid.uuid4().hex


def rfc3339(time: Time | None) -> str:
    """A time as the API wants it; a datetime without a zone is local time."""
    if time is None or isinstance(time, str):
        return time or ""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """What is to be trained, on what, and where the results go."""

    model: str
    data: str
    output_dir: str
    task: str
    method: str


def create_job(
    job: NewJob, options: Mapping[str, Any], *, resolve: bool
) -> training_service_pb2.CreateTrainingJobRequest:
    """The request for a new job; `resolve` makes paths of this machine absolute.

    Raises InvalidArgument for an unknown task, method or option, and for a value of a wrong type.
    """
    check_names(options, JobOptions.__annotations__)
    task, method = job_pb2.TaskType, job_pb2.Method
    request = training_service_pb2.CreateTrainingJobRequest(
        task_type=task.ValueType(number(task.DESCRIPTOR, job.task, "task")),
        method=method.ValueType(number(method.DESCRIPTOR, job.method, "method")),
        model_path=paths.local(job.model) if resolve else job.model,
        data_path=paths.local(job.data) if resolve else job.data,
        output_dir=paths.output(job.output_dir) if resolve else job.output_dir,
    )
    fill(request.train_params, _only(options, PARAMS))
    fill(request.resources, _only(options, _RESOURCES))
    fill(request, _times(_without(options, {*PARAMS, *_RESOURCES})))
    return request


def create_deployment(
    model: str, options: DeployOptions, *, resolve: bool
) -> deploy_service_pb2.CreateDeploymentRequest:
    """The request for a new deployment that starts at once unless `auto_start` is false.

    Raises InvalidArgument for an unknown type or option, and for a value of a wrong type.
    """
    check_names(options, DeployOptions.__annotations__)
    kind = deployment_pb2.DeployType
    request = deploy_service_pb2.CreateDeploymentRequest(
        model_path=paths.local(model) if resolve else model,
        deploy_type=kind.ValueType(number(kind.DESCRIPTOR, options.get("deploy_type", "llm"), "deploy_type")),
        auto_start=True,
    )
    fill(request.resources, _only(options, _DEPLOY_RESOURCES))
    fill(request, _without(options, {"deploy_type", *_DEPLOY_RESOURCES}))
    return request


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs a list has."""

    status: str | None = None
    trainer_type: str | None = None
    created_after: Time | None = None
    created_before: Time | None = None
    search: str = ""


def list_jobs(only: JobFilter, size: int, page_token: str) -> training_service_pb2.ListTrainingJobsRequest:
    """The request for one page of jobs; raises InvalidArgument for an unknown status or type."""
    status, trainer = job_pb2.JobStatus, job_pb2.TrainerType
    trainer_type = number(trainer.DESCRIPTOR, only.trainer_type, "trainer_type") if only.trainer_type else 0
    return training_service_pb2.ListTrainingJobsRequest(
        size=size,
        page_token=page_token,
        status=status.ValueType(number(status.DESCRIPTOR, only.status, "status") if only.status else 0),
        trainer_type=trainer.ValueType(trainer_type),
        created_after=rfc3339(only.created_after),
        created_before=rfc3339(only.created_before),
        search=only.search,
    )


def list_deployments(status: str | None, size: int, page: int) -> deploy_service_pb2.ListDeploymentsRequest:
    """The request for one page of deployments; raises InvalidArgument for an unknown status."""
    kind = deployment_pb2.DeployStatus
    wanted = kind.ValueType(number(kind.DESCRIPTOR, status, "status") if status else 0)
    return deploy_service_pb2.ListDeploymentsRequest(page=page, size=size, status=wanted)


def _only(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}


def _without(options: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def _times(options: dict[str, Any]) -> dict[str, Any]:
    return {name: rfc3339(value) if name == "earliest_start" else value for name, value in options.items()}
