"""From the messages of a create call to a job of the domain, with every fault of the request named."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from swiftlet.training.v1 import job_pb2
from swiftlet.training.v1 import training_service_pb2 as pb
from swiftletd.kernel.errors import InvalidArgument, Violation, invalid
from swiftletd.kernel.ids import ID_RULE, is_id, new_id, parse_rfc3339
from swiftletd.kernel.rpc.fields import MAX_SEARCH
from swiftletd.training.domain.job import Job, Resources
from swiftletd.training.domain.legacy import Blocks, chosen_block, trainer_type_of
from swiftletd.training.domain.log_level import LEVELS
from swiftletd.training.domain.param_fields import Method, TrainerType
from swiftletd.training.domain.params import BaseTrainingParams, parse_params, to_dict
from swiftletd.training.domain.violations import InvalidParams
from swiftletd.training.ports import Filter
from swiftletd.training.wire.convert import from_params, word

MAX_PATH = 4096
MAX_GPUS = 1024
MAX_RETRIES = 10
_PATHS = {
    "data_path": "is required: a path or a hub id.",
    "model_path": "is required: a path or a hub id.",
    "output_dir": "is required: a path of a directory.",
}
_TOO_LONG = f"is longer than {MAX_PATH} characters."
CreateRequest = pb.CreateTrainingJobRequest | pb.CreateTypedTrainingJobRequest


@dataclass(slots=True)
class _Faults:
    """Collects what is wrong, so that a client hears of everything at once."""

    found: list[Violation]

    def check(self, ok: bool, field: str, message: str) -> None:
        """Note a fault unless `ok`."""
        if not ok:
            self.found.append(Violation(field, message))

    def between(self, value: float, least: float, most: float, field: str) -> None:
        """Note a number that is out of its range, NaN included."""
        if not least <= value <= most:
            self.check(False, field, f"must be from {least:g} to {most:g}, got {value:g}.")


def to_new_job(
    request: CreateRequest, now: float, default_time_limit: float
) -> tuple[Job, BaseTrainingParams, str]:
    """The job that a create request describes, its parameters, and the name of their block.

    Raises InvalidArgument with each fault found.
    """
    faults = _Faults([])
    _check_fields(request, faults)
    task_type, trainer_type, block, raw = _typed(request)
    method = Method(word(job_pb2.Method, request.method) or "sft")
    gpus = gpus_of(request.resources)
    params: BaseTrainingParams | None = None
    try:
        params = parse_params(trainer_type, method, raw, at=block, devices=gpus)
    except InvalidParams as error:
        faults.found += error.violations
    start = _moment(request.earliest_start, "earliest_start", faults)
    if faults.found or params is None:
        raise InvalidArgument(faults.found)
    job = Job(
        id=request.job_id or new_id("job"),
        task_type=task_type,
        trainer_type=trainer_type,
        method=method,
        data_path=request.data_path,
        model_path=request.model_path,
        output_dir=request.output_dir,
        params=to_dict(params),
        created_at=now,
        priority=request.priority,
        resources=to_resources(request.resources),
        project=request.project,
        max_retries=request.max_retries,
        time_limit=request.time_limit or default_time_limit,
        earliest_start=start,
    )
    return job, params, block


def _typed(request: CreateRequest) -> tuple[str, TrainerType, str, dict[str, Any]]:
    """Task type, trainer type, and the parameter block that counts with its name."""
    if isinstance(request, pb.CreateTypedTrainingJobRequest):
        name = word(job_pb2.TrainerType, request.trainer_type)
        if not name:
            raise invalid("trainer_type", "must be llm or mllm.")
        return name, TrainerType(name), "params", from_params(request.params)
    task_type = word(job_pb2.TaskType, request.task_type)
    if request.task_type and not task_type:
        raise invalid("task_type", "must be llm, mllm, language_model or multimodal.")
    trainer_type = trainer_type_of(task_type)
    names = ("llm_params", "mllm_params", "train_params")
    sent = {name: from_params(getattr(request, name)) for name in names if request.HasField(name)}  # type: ignore[arg-type]
    block, raw = chosen_block(trainer_type, Blocks(**sent))
    return task_type or "multimodal", trainer_type, block, dict(raw)


def _check_fields(request: CreateRequest, faults: _Faults) -> None:
    for name, required in _PATHS.items():
        value = getattr(request, name)
        faults.check(bool(value.strip()), name, required)
        faults.check(len(value) <= MAX_PATH, name, _TOO_LONG)
        faults.check("\0" not in value, name, "must not contain a zero byte.")
    faults.between(request.priority, 0, 10, "priority")
    faults.check(not request.job_id or is_id(request.job_id), "job_id", f"{ID_RULE}.")
    faults.check(not request.project or is_id(request.project), "project", f"{ID_RULE}.")
    faults.between(request.max_retries, 0, MAX_RETRIES, "max_retries")
    faults.between(request.time_limit, 0, 365 * 86400, "time_limit")
    if request.method and not word(job_pb2.Method, request.method):
        faults.check(False, "method", "must be sft, pt or rlhf.")
    _check_resources(request.resources, faults)


def _check_resources(need: job_pb2.Resources, faults: _Faults) -> None:
    faults.between(gpus_of(need), 1, MAX_GPUS, "resources.gpus")
    faults.between(need.gpu_memory_gib, 0, 100_000, "resources.gpu_memory_gib")
    faults.between(need.min_gpu_memory_gib, 0, 100_000, "resources.min_gpu_memory_gib")
    faults.check(len(need.gpu_name) <= 128, "resources.gpu_name", "is longer than 128 characters.")


def _moment(text: str, field: str, faults: _Faults) -> float:
    try:
        return parse_rfc3339(text) if text else 0.0
    except (ValueError, OverflowError):
        faults.check(False, field, f"must be an RFC 3339 time like 2026-01-31T12:00:00Z, got {text[:40]!r}.")
        return 0.0


def gpus_of(need: job_pb2.Resources) -> int:
    """How many GPUs are asked for; one where that isn't said."""
    return need.gpus if need.HasField("gpus") else 1


def to_resources(need: job_pb2.Resources) -> Resources:
    """The domain's words for what a job needs."""
    return Resources(
        gpus=gpus_of(need),
        memory_mib=round(need.gpu_memory_gib * 1024),
        gpu_name=need.gpu_name,
        min_memory_mib=round(need.min_gpu_memory_gib * 1024),
        same_machine=not need.allow_many_machines,
    )


def to_filter(request: pb.ListTrainingJobsRequest) -> Filter:
    """Which jobs a list is to have."""
    faults = _Faults([])
    wanted = Filter(
        state=word(job_pb2.JobStatus, request.status),
        task_type=word(job_pb2.TaskType, request.task_type),
        trainer_type=word(job_pb2.TrainerType, request.trainer_type),
        created_after=_moment(request.created_after, "created_after", faults),
        created_before=_moment(request.created_before, "created_before", faults),
        search=request.search,
    )
    faults.check(len(request.search) <= MAX_SEARCH, "search", f"is longer than {MAX_SEARCH} characters.")
    if wanted.task_type and wanted.trainer_type not in ("", trainer_type_of(wanted.task_type)):
        faults.check(
            False, "trainer_type", f"is another one than that of task_type {wanted.task_type}; leave it out."
        )
    if faults.found:
        raise InvalidArgument(faults.found)
    return wanted


def level_of(text: str) -> str:
    """A checked `level` field, in upper case."""
    if text and text.upper() not in LEVELS:
        raise invalid("level", f"must be INFO, WARNING or ERROR, got {text[:20]!r}.")
    return text.upper()
