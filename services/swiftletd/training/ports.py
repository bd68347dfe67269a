"""What the use cases need from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from swiftletd.kernel.idempotency import UNKEYED, Once
from swiftletd.training.domain.decide import StepResult
from swiftletd.training.domain.disk import Level, Output, Volume
from swiftletd.training.domain.job import Change, Happened, Job, Lease, State
from swiftletd.training.domain.params import BaseTrainingParams


class Stale(Exception):
    """The job was changed by somebody else since it was read, or is there already, or is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which jobs a list is to have; empty or 0 for any. Unix seconds; `state` as in Job.listed_as."""

    state: str = ""
    task_type: str = ""
    trainer_type: str = ""
    created_after: float = 0.0
    created_before: float = 0.0
    search: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a job stands in a list: newest first, and by id, largest first, within a microsecond."""

    microsecond: int
    job_id: str

    @staticmethod
    def of(job: Job) -> Place:
        """The place of a job."""
        return Place(int(job.created_at * 1e6), job.id)


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list."""

    jobs: tuple[Job, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryItem:
    """A line of a job's history, with its id in the stream."""

    id: str
    time: float
    happened: Happened
    state: State


class JobStore(Protocol):
    """Where jobs are kept. Every write is one atomic step with its events."""

    async def get(self, job_id: str) -> Job | None:
        """The job, or None."""
        ...

    async def first_attempt(self, job_id: str) -> int:
        """Number of the first attempt of a new job with this id: one that no deleted job of that id had,
        whose runs may still be heard of. 0 if there is a job with the id."""
        ...

    async def commit(self, before: Job | None, change: Change, once: Once[Job] = UNKEYED) -> None:
        """Replace the version that was read, None for a new job. Raises Stale, Repeated."""
        ...

    async def delete(self, job: Job, change: Change, once: Once[Job] = UNKEYED) -> None:
        """Forget the version that was read. Raises Stale, Repeated."""
        ...

    async def improve(self, once: Once[Job], answer: bytes) -> None:
        """Let repeats of a call have an answer that was known only after its effect."""
        ...

    async def purge(self, until: int, once: Once[int] = UNKEYED) -> int:
        """Begin to delete all jobs created up to this microsecond: how many. Raises Stale, also while one
        runs, and Repeated."""
        ...

    async def purging(self) -> int:
        """Up to which microsecond all jobs are being deleted; 0 for none."""
        ...

    async def purged(self, until: int) -> None:
        """All jobs up to this microsecond are gone."""
        ...

    async def page(self, wanted: Filter, offset: int, size: int, *, after: Place | None = None) -> Page:
        """In the order of their places, those after a place if one is given. The cost doesn't grow with
        the number of jobs, but for a text search."""
        ...

    async def history(self, job_id: str, limit: int) -> tuple[Sequence[HistoryItem], int]:
        """The last so many lines, oldest first, and how many there are in all."""
        ...

    async def history_after(self, job_id: str, after: str, limit: int) -> Sequence[HistoryItem]:
        """Lines after an id, oldest first."""
        ...

    async def unfinished(self) -> Sequence[Job]:
        """Jobs with something left to happen to them, be it only that their results are measured."""
        ...


class OpenJobs(JobStore, Protocol):
    """A store that tells which jobs may have changed, so that nobody reads all that wait."""

    async def open_jobs(self, known: Container[str]) -> tuple[frozenset[str], Sequence[Job]]:
        """Ids of all unfinished jobs; and those jobs of them that aren't both known and waiting."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a log. `offset` is the byte at which it begins."""

    offset: int
    time: str
    stream: str
    text: str


@dataclass(frozen=True, slots=True)
class LogPage:
    """Lines of a log, and the byte to read on from."""

    lines: tuple[Line, ...]
    next_offset: int


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run directory tells after the runner is gone, or while it lives."""

    alive: bool
    launched: bool
    steps: tuple[StepResult, ...]


class Runs(Protocol):
    """The runs of jobs' processes on this machine. A run is named as its queue entry."""

    async def last_checkpoint(self, job: Job, number: int) -> str:
        """The last whole checkpoint, optimizer state included, of the attempts before this one; or ""."""
        ...

    async def launch_training(self, job: Job, number: int, lease: Lease) -> None:
        """Make the run directory and start the runner. Harmless if that was done. Raises LaunchFailed."""
        ...

    async def launch_export(self, job: Job, entry: str) -> None:
        """Export once more, without GPUs. Raises LaunchFailed."""
        ...

    async def stop(self, job_id: str, entry: str, word: str) -> None:
        """Ask the runner of an entry to end all its processes; says why in a word."""
        ...

    async def report(self, job_id: str, entry: str) -> RunReport:
        """What is known of a run."""
        ...

    async def bury(self, job_id: str, entry: str) -> None:
        """End every process that a dead runner left behind, and have its end written down and told."""
        ...

    async def remove(self, job_id: str) -> bool:
        """Delete all run directories of a job; what lives of it is stopped first, and False returned."""
        ...

    async def known(self) -> Sequence[str]:
        """Ids of all jobs that have run directories here."""
        ...

    def exports(self, job_id: str, entry: str) -> bool:
        """Whether an export step follows the training in this run."""
        ...

    async def log_tail(self, job_id: str, entry: str) -> str:
        """The last part of the log, for the diagnosis."""
        ...

    async def read_log(
        self, job_id: str, entry: str, offset: int, limit: int, *, search: str = "", level: str = ""
    ) -> LogPage:
        """Lines from a byte on, or those of them with a text or of a level."""
        ...

    async def last_lines(self, job_id: str, entry: str, limit: int) -> LogPage:
        """The last lines."""
        ...

    async def line_offset(self, job_id: str, entry: str, line: int) -> int:
        """Byte at which a line begins, counted from 1; the end of the log if there are not so many."""
        ...

    async def count_lines(self, job_id: str, entry: str) -> int:
        """How many lines the log has so far."""
        ...

    async def progress(self, job_id: str, entry: str) -> Mapping[str, Any]:
        """The latest progress; empty before there is any."""
        ...

    def log_path(self, job_id: str, entry: str) -> str:
        """Where the raw log is."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The gpu service's first word on an entry: granted, or where it waits."""

    granted: bool
    position: int = 0
    reason: str = ""
    wait: float = -1.0


class GpuAnswers(Protocol):
    """Hears what the gpu service says."""

    def listen(self, entry: str) -> AbstractAsyncContextManager[AsyncIterator[Answer]]:
        """Begin to listen before the entry is submitted; the iterator gives at most one answer."""
        ...


class Preflight(Protocol):
    """What can be checked before a job waits in a queue."""

    async def check(self, job: Job, params: BaseTrainingParams, block: str) -> Job:
        """The job with its paths made absolute. `params` are its own, `block` their name in the request.

        Raises InvalidArgument with each fault found.
        """
        ...


class Machines(Protocol):
    """What there is to train on."""

    async def only_cpu(self) -> bool:
        """Whether there is no GPU at all; False where that can't be told."""
        ...


class Room(Protocol):
    """Keeps room on the disk for what jobs are going to write."""

    def place(self, job: Job) -> AbstractAsyncContextManager[None]:
        """Hold room for a job that is being kept inside the block. Raises InvalidArgument (NO_DISK_SPACE)."""
        ...

    def leave(self, job_id: str) -> None:
        """A job was deleted: it needs no room any more."""
        ...


class AnyRoom:
    """A disk without end."""

    def place(self, job: Job) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    def leave(self, job_id: str) -> None: ...


class EndedRuns(Protocol):
    """Keeps in mind which runs have ended, until their logs have been kept for long enough."""

    async def ended(self, owner: str, run: str) -> None:
        """A run has ended; harmless if that was said before."""
        ...

    async def forget(self, owner: str, runs: Iterable[str]) -> None:
        """Runs whose directories are gone, or are going."""
        ...


class ForgetfulRuns:
    """Keeps nothing in mind: logs are kept for ever."""

    async def ended(self, owner: str, run: str) -> None: ...

    async def forget(self, owner: str, runs: Iterable[str]) -> None: ...


class Served(Protocol):
    """Which jobs' models are served now."""

    async def serves(self, job: Job) -> bool:
        """Whether a deployment of it is there that has not ended; True where nobody can tell."""
        ...


class Disk(Protocol):
    """The file systems of this machine. Sizes in bytes."""

    async def volume(self, path: str) -> Volume:
        """The file system that the path is on, or would be. Raises OSError."""
        ...

    async def size(self, path: str) -> int | None:
        """What a directory takes with all that is below it; None if it isn't there."""
        ...


class Outputs(Protocol):
    """Sizes of what ended jobs have left, by directory, with their sum."""

    async def total(self) -> int:
        """Bytes of all together."""
        ...

    async def put(self, path: str, size: int) -> None:
        """A directory takes so many bytes; 0 forgets it."""
        ...

    async def largest(self, count: int) -> Sequence[Output]:
        """The largest ones, largest first."""
        ...

    async def some(self) -> Sequence[str]:
        """A few of the directories, others each time: all of them in the course of time."""
        ...

    async def high(self) -> frozenset[str]:
        """Paths of the disks of this machine that were nearly full when that was told last."""
        ...

    async def tell(self, level: Level) -> bool:
        """Say that a disk is nearly full, or well again; False if that was said last."""
        ...


class LaunchFailed(Exception):
    """The runner could not be started: a sentence, and a reason of the catalogue."""

    def __init__(self, message: str, reason: str = "TRAINER_UNAVAILABLE") -> None:
        super().__init__(message)
        self.reason = reason
