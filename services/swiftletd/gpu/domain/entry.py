"""An entry of the queue: one attempt of a job or deployment that waits for devices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from swiftletd.gpu.domain.durations import Estimate
from swiftletd.gpu.domain.request import MAX_PRIORITY, MIN_PRIORITY, Request, RequestError


class EntryKind(Enum):
    TRAINING = "training"
    DEPLOY = "deploy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`id` is the entry's own; `job_id` the training job or deployment it stands for.

    A requeued job is a new entry with the next `attempt`; it may keep its old `enqueued_at` and so
    its place. `held` entries keep their place and are not granted. `estimate` is how long the job
    will run once it starts; None where nothing is known. Times are seconds since the epoch.
    """

    id: str
    job_id: str
    enqueued_at: float
    request: Request
    kind: EntryKind = EntryKind.TRAINING
    attempt: int = 1
    priority: int = 0
    project: str = ""
    held: bool = False
    estimate: Estimate | None = None

    def __post_init__(self) -> None:
        if not MIN_PRIORITY <= self.priority <= MAX_PRIORITY:
            allowed = f"must be from {MIN_PRIORITY} to {MAX_PRIORITY}"
            raise RequestError("priority", f"{allowed}, not {self.priority}")
