"""What is asked of the suite while it is shaken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Kind:
    """A kind of job: what its process does, and how it ends unless somebody stops it or kills it."""

    name: str
    fake: dict[str, Any]
    ends: str = "completed"
    exit_code: int = 0
    steps: int = 6
    retries: int = 0
    then: str = ""  # what the client does to it some time later: stop, delete, export


KINDS = (
    Kind("short", {"step_seconds": 0.03, "print_lines": 20}),
    Kind("long", {"step_seconds": 0.1, "print_lines": 20}, steps=40, retries=2),
    Kind("flood", {"step_seconds": 0.05, "print_lines": 3000}),
    Kind("crash", {"step_seconds": 0.05, "print_lines": 20, "crash_at": 4}, ends="failed", exit_code=1),
    Kind("oom", {"step_seconds": 0.05, "print_lines": 20, "kill_at": 3}, "failed", -9, retries=1),
    Kind("stopped", {"step_seconds": 0.1, "print_lines": 20, "orphans": 1}, steps=10_000, then="stop"),
    Kind("deleted", {"step_seconds": 0.1, "print_lines": 20}, steps=60, retries=1, then="delete"),
    Kind("exported", {"step_seconds": 0.03, "print_lines": 20}, then="export"),
)
REAL = Kind("real", {}, steps=20)


@dataclass
class Training:
    """A job whose creation was answered with 201."""

    kind: Kind
    stopped: bool = False  # a stop was answered with 200
    deleted: bool = False
    held: list[list[float]] = field(default_factory=list)  # from the answer to the hold to the release


@dataclass(frozen=True)
class ServerKind:
    """A kind of model server: what its process does."""

    name: str
    fake: dict[str, Any]
    ends: str = "running"


SERVERS = (
    ServerKind("steady", {"load_seconds": 0.3}),
    ServerKind("slow", {"load_seconds": 2.0}),
    ServerKind("crashing", {"load_seconds": 0.3, "crash_after": 3.0}, ends="failed"),
)


@dataclass
class Served:
    """A deployment whose creation was answered with 201."""

    kind: ServerKind
    wanted: bool = True  # false once a stop was answered, true again once a start was
    stops: int = 0
    deleted: bool = False


@dataclass
class Story:
    """What was asked, what was answered, and what was done to the processes."""

    trainings: dict[str, Training] = field(default_factory=dict)
    servers: dict[str, Served] = field(default_factory=dict)
    hurt: dict[str, set[str]] = field(default_factory=dict)  # run: what was killed of it

    def kept(self) -> dict[str, Training]:
        """The trainings that were not deleted."""
        return {job_id: training for job_id, training in self.trainings.items() if not training.deleted}

    def kept_servers(self) -> dict[str, Served]:
        """The deployments that were not deleted."""
        return {key: served for key, served in self.servers.items() if not served.deleted}
