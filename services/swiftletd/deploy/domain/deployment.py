"""A deployment and what can become of it. Pure: every function takes a deployment and gives the next one.

state      who moves it there
---------  --------------------------------------------------------------------------
pending    client (create, start again), gpu service (taken out of the queue or granted)
queued     gpu service (must wait)
running    prober (the model server answered under its own name)
completed  runner (the server ended by itself without an error)
failed     runner (it ended with one), deploy (it could not be started, or never answered)
cancelled  client
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a deployment stands; the words of the contract."""

    PENDING = "pending"
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


_ENDS = frozenset({State.COMPLETED, State.FAILED, State.CANCELLED})
_AGAIN = frozenset({State.PENDING})  # a deployment that ended can be started again
TRANSITIONS: Mapping[State, frozenset[State]] = {
    State.PENDING: frozenset({State.QUEUED, State.RUNNING}) | _ENDS,
    State.QUEUED: frozenset({State.PENDING, State.RUNNING}) | _ENDS,
    State.RUNNING: _ENDS,
    State.COMPLETED: _AGAIN,
    State.FAILED: _AGAIN,
    State.CANCELLED: _AGAIN,
}
RESTING = _ENDS


class ForbiddenMove(ValueError):
    """The table has no such transition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What a model server needs; GPU memory in MiB, 0 for whole GPUs. `memory` is only recorded."""

    memory: str = ""
    gpu_memory: str = ""
    gpu_memory_mib: int = 0
    gpus: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """GPUs that the gpu service gave to one attempt."""

    token: int
    devices: tuple[str, ...]
    visible_devices: str = ""
    gpu_ids: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of the model server. Unix seconds; `over` once nothing of it lives."""

    number: int
    lease: Lease
    port: int
    started_at: float
    over: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """A model that is served. Times are unix seconds, 0 for not yet."""

    id: str
    model_path: str
    served_path: str
    served_model_name: str
    deploy_type: str
    created_at: float
    version_label: str = ""
    resources: Resources = Resources()
    port: int = 0
    priority: int = 0
    state: State = State.PENDING
    version: int = 1
    submitted: bool = False
    next_attempt: int = 1
    attempt: Attempt | None = None
    queue_position: int = 0
    wait_reason: str = ""
    estimated_wait: float = -1.0
    process_id: int = 0
    started_at: float = 0.0
    completed_at: float = 0.0
    last_seen_at: float = 0.0
    error_message: str = ""
    failure_reason: str = ""
    doomed: bool = False  # deleted: hidden from clients, and forgotten once it is over

    @property
    def over(self) -> bool:
        """It ended, and nothing of its model server lives."""
        return self.state in RESTING and not self.alive

    @property
    def gone(self) -> bool:
        """It was deleted and nothing of it lives: there is nothing to keep any more."""
        return self.doomed and self.over

    @property
    def alive(self) -> bool:
        """A model server of it exists, or is being started."""
        return self.attempt is not None and not self.attempt.over

    def entry(self, attempt: int = 0) -> str:
        """Name of the run, the queue entry and the lease of an attempt; of the next one for 0."""
        return f"deploy-{self.id}-{attempt or self.next_attempt}"

    def entries(self) -> list[str]:
        """Names of all attempts so far."""
        return [self.entry(number) for number in range(1, self.next_attempt)]

    def is_current(self, entry: str) -> bool:
        """Whether an entry is that of the model server that lives now."""
        return self.attempt is not None and self.alive and entry == self.entry(self.attempt.number)


@dataclass(frozen=True, slots=True)
class Submit:
    """Ask the gpu service for GPUs."""


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Tell the gpu service that an attempt isn't going to start."""

    entry: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Happened:
    """What others hear of a change, and must do about it."""

    type: str
    message: str
    effect: Submit | Withdraw | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """The next version of a deployment and how it came to it."""

    deployment: Deployment
    events: tuple[Happened, ...] = ()


def move(it: Deployment, to: State, **changes: Any) -> Deployment:
    """The deployment in another state. Raises ForbiddenMove if the table has no such transition."""
    if to not in TRANSITIONS[it.state]:
        raise ForbiddenMove(f"a deployment can't go from {it.state} to {to}")
    return replace(it, state=to, version=it.version + 1, **changes)


def edit(it: Deployment, **changes: Any) -> Deployment:
    """The deployment with other details in the same state."""
    return replace(it, version=it.version + 1, **changes)
