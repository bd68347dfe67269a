"""Between the domain's records and the messages of swiftlet.training.v1."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from google.protobuf import struct_pb2

from swiftlet.training.v1 import job_pb2 as pb
from swiftlet.training.v1 import params_pb2
from swiftletd.kernel.ids import rfc3339
from swiftletd.training.domain.job import TERMINAL, ExportState, Job, Resources, State
from swiftletd.training.domain.log_level import level
from swiftletd.training.ports import HistoryItem, Line

_STREAMS = {"O": "stdout", "E": "stderr", "S": "swiftlet"}
_PARAM_FIELDS = params_pb2.TrainingParams.DESCRIPTOR.fields_by_name
_STATUS = {state: pb.JobStatus.Value(f"JOB_STATUS_{state.name}") for state in State}
_TASK = {name.removeprefix("TASK_TYPE_").lower(): number for name, number in pb.TaskType.items()}
_TRAINER = {name.removeprefix("TRAINER_TYPE_").lower(): number for name, number in pb.TrainerType.items()}
_METHOD = {name.removeprefix("METHOD_").lower(): number for name, number in pb.Method.items()}


def word(enum: Any, number: int) -> str:
    """The lower-case word of an enum value: "" for unspecified and for numbers that the enum doesn't have."""
    return _words(enum).get(number, "")


@cache
def _words(enum: Any) -> Mapping[int, str]:
    names = {number: name for name, number in enum.items()}
    prefix = names[0].removesuffix("UNSPECIFIED")
    return {number: name.removeprefix(prefix).lower() for number, name in names.items() if number}


def status(state: State) -> pb.JobStatus.ValueType:
    """The status of the contract."""
    return _STATUS[state]


def to_job(job: Job, log_path: str, progress: float) -> pb.TrainingJob:
    """The message for a job. `progress` in percent."""
    last = job.attempts[-1] if job.attempts else None
    message = pb.TrainingJob(
        id=job.id,
        status=status(job.state),
        task_type=_TASK[job.task_type],
        trainer_type=_TRAINER[job.trainer_type],
        method=_METHOD[job.method],
        gpu_id=last.lease.gpu_ids if last else "",
        data_path=job.data_path,
        model_path=job.model_path,
        output_dir=job.output_dir,
        priority=job.priority,
        train_params=to_params(job.params),
        process_id=job.process_id,
        log_file_path=log_path,
        error_message=job.error_message,
        failure_reason=job.failure_reason,
        progress=progress,
        final_loss=job.final_loss,
        training_time=job.training_time,
        checkpoint_path=job.checkpoint_path,
        export_completed=job.export is ExportState.DONE,
        export_time=rfc3339(job.export_time),
        export_path=job.export_path,
        export_error=job.export_error,
        created_at=rfc3339(job.created_at),
        started_at=rfc3339(job.started_at),
        completed_at=rfc3339(job.completed_at),
        resources=to_resources(job.resources),
        project=job.project,
        attempt=len(job.attempts),
        max_retries=job.max_retries,
        time_limit=job.time_limit,
        queue_position=job.queue_position,
        version=job.version,
        disk_needed=job.disk_needed,
        output_bytes=job.output_bytes,
    )
    for attempt in job.attempts:
        message.attempts.add(
            number=attempt.number,
            state=attempt.state,
            reason=attempt.reason,
            started_at=rfc3339(attempt.started_at),
            ended_at=rfc3339(attempt.ended_at),
            gpu_id=attempt.lease.gpu_ids,
            exit_code=attempt.exit_code,
            log_removed=attempt.log_removed,
            resumed_from=attempt.resumed_from or "",
            step=attempt.step,
            loss=attempt.loss,
        )
    return message


def to_resources(need: Resources) -> pb.Resources:
    """The message for what a job needs."""
    return pb.Resources(
        gpus=need.gpus,
        gpu_memory_gib=need.memory_mib / 1024,
        gpu_name=need.gpu_name,
        min_gpu_memory_gib=need.min_memory_mib / 1024,
        allow_many_machines=not need.same_machine,
    )


def to_params(params: Mapping[str, Any]) -> params_pb2.TrainingParams:
    """The message for parameters; lists and maps too."""
    message = params_pb2.TrainingParams()
    for name, value in params.items():
        if value is None or name not in _PARAM_FIELDS:
            continue
        if isinstance(value, Mapping):
            message.extra_args.update(value)
        elif isinstance(value, list | tuple):
            getattr(message, name).extend(value)
        else:
            setattr(message, name, value)
    message.tuner_type = message.train_type  # one setting under its old and its new name
    return message


def from_params(message: params_pb2.TrainingParams) -> dict[str, Any]:
    """Only what the client set."""
    found: dict[str, Any] = {}
    for descriptor, value in message.ListFields():
        if descriptor.name == "extra_args":
            found[descriptor.name] = dict(value)
        else:
            found[descriptor.name] = list(value) if descriptor.is_repeated else value
    return found


def to_value(value: Any) -> struct_pb2.Value:
    """Any JSON value."""
    message = struct_pb2.Value()
    match value:
        case None:
            message.null_value = struct_pb2.NULL_VALUE
        case bool():
            message.bool_value = value
        case int() | float():
            message.number_value = value
        case str():
            message.string_value = value
        case Mapping():
            message.struct_value.update(value)
        case _:
            message.list_value.extend(value)
    return message


def percent(job: Job, progress: Mapping[str, Any]) -> float:
    """0 to 100 with two decimals; 100 once it is trained."""
    if job.state is State.COMPLETED:
        return 100.0
    total = progress.get("total_steps") or 0
    return round(100 * progress.get("step", 0) / total, 2) if total else 0.0


def to_progress(job: Job, progress: Mapping[str, Any]) -> pb.Progress:
    """The message for a job's progress, as the runner wrote it down."""
    ended = job.state in TERMINAL
    return pb.Progress(
        job_id=job.id,
        progress=percent(job, progress),
        estimated_time_remaining=0.0 if ended else float(progress.get("remaining") or 0.0),
        status=status(job.state),
        step=progress.get("step") or 0,
        total_steps=progress.get("total_steps") or 0,
        epoch=progress.get("epoch") or 0.0,
        loss=progress.get("loss") or 0.0,
        eval_loss=progress.get("eval_loss") or 0.0,
        learning_rate=progress.get("learning_rate") or 0.0,
        seconds_per_step=progress.get("seconds_per_step") or 0.0,
        elapsed_time=progress.get("elapsed") or 0.0,
        gpu_memory=progress.get("gpu_memory") or 0.0,
        checkpoints=progress.get("checkpoints") or [],
        phase=phase(job, progress),
    )


def phase(job: Job, progress: Mapping[str, Any]) -> str:
    """What the job does now, in a word."""
    if job.state in (State.PENDING, State.QUEUED):
        return "waiting"
    if job.export is ExportState.RUNNING:
        return "exporting"
    if job.state in TERMINAL:
        return "ended"
    return str(progress.get("phase") or "loading")


def to_line(job_id: str, attempt: int, line: Line) -> pb.LogLine:
    """The message for a line of a log."""
    return pb.LogLine(
        timestamp=line.time,
        level=level(line.text),
        message=line.text,
        job_id=job_id,
        attempt=attempt,
        stream=_STREAMS.get(line.stream, line.stream),
        offset=line.offset,
    )


def to_event(job_id: str, item: HistoryItem) -> pb.JobEvent:
    """The message for a line of history."""
    return pb.JobEvent(
        id=item.id,
        type=item.happened.type,
        timestamp=rfc3339(item.time),
        message=item.happened.message,
        job_id=job_id,
        status=status(item.state),
    )


def about(seconds: float) -> str:
    """A duration for people: "about 12 min", "unknown" if negative."""
    if seconds < 0:
        return "unknown"
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
