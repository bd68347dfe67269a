"""A training job and what can become of it. Pure: every function takes a job and gives the next one.

state      who moves it there
---------  -------------------------------------------------------------
pending    client (create), gpu service (taken out of the queue), training (another attempt)
queued     gpu service (must wait)
running    gpu service (lease granted)
completed  runner (the training step succeeded)
failed     runner (it did not), training (no attempt could be started)
cancelled  client
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
from msgspec.structs import replace

from swiftletd.training.domain.param_fields import Method, TrainerType


class State(StrEnum):
    """Where a job stands; the words of the contract."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_ENDS = frozenset({State.FAILED, State.CANCELLED})
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.QUEUED, State.RUNNING}) | _ENDS,
    State.QUEUED: frozenset({State.PENDING, State.RUNNING}) | _ENDS,
    State.RUNNING: frozenset({State.PENDING, State.COMPLETED}) | _ENDS,
    State.COMPLETED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}
TERMINAL = frozenset(state for state, following in TRANSITIONS.items() if not following)


class AttemptState(StrEnum):
    """How one run of a job's process stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class ExportState(StrEnum):
    """How the export of the trained model stands."""

    NONE = "none"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class ForbiddenMove(ValueError):
    """The table has no such transition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a job needs of the machines; memory in MiB, 0 for whole or any GPU."""

    gpus: int = 1
    memory_mib: int = 0
    gpu_name: str = ""
    min_memory_mib: int = 0
    same_machine: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """GPUs that the gpu service gave to one attempt."""

    token: int
    devices: tuple[str, ...]
    visible_devices: str = ""
    gpu_ids: str = ""
    machine: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of the job's process. Times are unix seconds, 0 for not yet."""

    number: int
    lease: Lease
    state: AttemptState = AttemptState.RUNNING
    reason: str = ""
    started_at: float = 0.0
    ended_at: float = 0.0
    exit_code: int = 0
    resumed_from: str | None = None  # checkpoint that it goes on from, "" for none, None if not known yet
    step: int = 0  # how far it came
    loss: float = 0.0
    run_over: bool = False  # the runner is gone too, and every process of it
    log_removed: str = ""  # when and why; empty while the log is there


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A training job. Times are unix seconds, 0 for not yet; paths are absolute or hub ids.

    A struct and not a dataclass: each change copies all of its fields, which is forty times as fast.
    """

    id: str
    task_type: str
    trainer_type: TrainerType
    method: Method
    data_path: str
    model_path: str
    output_dir: str
    params: Mapping[str, Any]
    created_at: float
    state: State = State.PENDING
    version: int = 1
    priority: int = 0
    resources: Resources = Resources()
    project: str = ""
    max_retries: int = 0
    time_limit: float = 0.0
    earliest_start: float = 0.0
    submitted: bool = False  # an attempt waits for GPUs or has them
    next_attempt: int = 1
    attempts: tuple[Attempt, ...] = ()
    queue_position: int = 0
    wait_reason: str = ""
    estimated_wait: float = -1.0
    process_id: int = 0
    started_at: float = 0.0
    completed_at: float = 0.0
    error_message: str = ""
    failure_reason: str = ""
    final_loss: float = 0.0
    training_time: float = 0.0
    checkpoint_path: str = ""
    export: ExportState = ExportState.NONE
    exports: int = 0
    export_time: float = 0.0
    export_path: str = ""
    export_error: str = ""
    disk_needed: int = 0  # bytes that its results may take, as far as could be told
    output_bytes: int = 0  # bytes that they took when it was over
    settled: bool = False  # it is over, and what it left on the disk is in the books

    @property
    def over(self) -> bool:
        """Nothing more will happen to it, its processes included."""
        running = any(not attempt.run_over for attempt in self.attempts)
        return self.state in TERMINAL and not running and self.export is not ExportState.RUNNING

    @property
    def listed_as(self) -> tuple[str, ...]:
        """The words that a list finds it by: its state, and "exporting" while its export runs."""
        return (self.state, "exporting") if self.export is ExportState.RUNNING else (self.state,)

    @property
    def latest(self) -> int:
        """Number of the latest attempt, or of the one to come where there was none."""
        return self.attempts[-1].number if self.attempts else self.next_attempt

    def is_over(self, number: int) -> bool:
        """Whether nothing of an attempt lives, as far as anybody knows."""
        return any(attempt.number == number and attempt.run_over for attempt in self.attempts)

    def entry(self, attempt: int = 0) -> str:
        """Name of the run, the queue entry and the lease of an attempt; of the next one for 0."""
        return f"training-{self.id}-{attempt or self.next_attempt}"

    def export_entry(self, number: int = 0) -> str:
        """Name of the run of a repeated export, the latest for 0; it has no lease and no queue entry.

        What follows the last "-" is no number, so it is no attempt's name, whatever the id of that job.
        """
        return f"training-{self.id}-export.{number or self.exports}"

    def runs(self) -> tuple[str, ...]:
        """Names of all runs that it has had."""
        exports = (self.export_entry(number) for number in range(2, self.exports + 1))
        return (*(self.entry(attempt.number) for attempt in self.attempts), *exports)


@dataclass(frozen=True, slots=True)
class Submit:
    """Ask the gpu service for the GPUs of the next attempt."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Tell the gpu service that an attempt isn't going to start."""

    entry: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """A line of the job's history, and what others must do about it."""

    type: str
    message: str
    effect: Submit | Withdraw | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The next version of a job and how it came to it."""

    job: Job
    events: tuple[Happened, ...] = field(default=())


def move(job: Job, to: State, **changes: Any) -> Job:
    """The job in another state. Raises ForbiddenMove if the table has no such transition."""
    if to not in TRANSITIONS[job.state]:
        raise ForbiddenMove(f"a job can't go from {job.state} to {to}")
    return replace(job, state=to, version=job.version + 1, **changes)


def edit(job: Job, **changes: Any) -> Job:
    """The job with other details in the same state."""
    return replace(job, version=job.version + 1, **changes)


def changed(job: Job, **changes: Any) -> Job:
    """The job with other details, as the same version."""
    return replace(job, **changes)


def attempt_of_entry(job: Job, entry: str) -> Attempt | None:
    """The attempt that an entry stands for, if it has begun."""
    return next((a for a in job.attempts if job.entry(a.number) == entry), None)


def with_attempt(job: Job, changed: Attempt) -> tuple[Attempt, ...]:
    """The attempts with one of them replaced."""
    return tuple(changed if a.number == changed.number else a for a in job.attempts)
