"""What the use cases need from outside."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from swiftletd.deploy.domain.deployment import Change, Deployment
from swiftletd.kernel.idempotency import UNKEYED, Once


class Stale(Exception):
    """The deployment was changed by somebody else since it was read, or is there already, or is gone."""


class PortTaken(Exception):
    """Another deployment has the port."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list."""

    deployments: tuple[Deployment, ...]
    total: int


class DeploymentStore(Protocol):
    """Where deployments and their ports are kept. Every write is one atomic step with its events."""

    async def get(self, key: str) -> Deployment | None:
        """The deployment, or None; also one that is doomed."""
        ...

    async def first_attempt(self, key: str) -> int:
        """Number of the first attempt of a new deployment: an id that is used again goes on counting."""
        ...

    async def commit(
        self, before: Deployment | None, change: Change, once: Once[Deployment] = UNKEYED
    ) -> None:
        """Keep the next version and lease its port to it, or free the port once it is over.

        One that is gone is forgotten. Raises Stale, PortTaken, Repeated.
        """
        ...

    async def improve(self, once: Once[Deployment], answer: bytes) -> None:
        """Let repeats of a call have an answer that was known only after its effect."""
        ...

    async def page(self, state: str, offset: int, size: int) -> Page:
        """Newest first, without those that are doomed; `state` "" for all."""
        ...

    async def unfinished(self) -> Sequence[Deployment]:
        """Deployments with something left to happen to them."""
        ...

    async def ports(self) -> frozenset[int]:
        """Ports that are leased."""
        ...


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run directory tells. `exit_code` is None while the model server runs."""

    alive: bool
    launched: bool
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a log; `offset` is the byte at which it begins."""

    offset: int
    time: str
    text: str


class Servers(Protocol):
    """Model servers on this machine. A run is named as its queue entry."""

    async def launch(self, it: Deployment) -> None:
        """Start the runner of the current attempt. Harmless if that was done. Raises LaunchFailed."""
        ...

    async def stop(self, entry: str, word: str = "cancelled") -> None:
        """Ask the runner to end the model server, and say why."""
        ...

    async def known(self) -> Mapping[str, Sequence[str]]:
        """The runs that have a directory, by the id of their deployment."""
        ...

    async def remove(self, entry: str) -> None:
        """Remove the directory of a run.

        What lives of it is asked to end instead: it has to be called again when that has ended.
        """
        ...

    async def report(self, entry: str) -> RunReport:
        """What is known of a run."""
        ...

    async def bury(self, entry: str) -> None:
        """End every process that a dead runner left behind, and have its end written down and told."""
        ...

    async def announced_port(self, entry: str) -> int:
        """The port at which the model server says that it serves; 0 until it does."""
        ...

    async def explain(self, entry: str, exit_code: int) -> tuple[str, str]:
        """Reason and sentence for an end, from the log."""
        ...

    async def read_log(
        self, entry: str, offset: int, limit: int, search: str = ""
    ) -> tuple[Sequence[Line], int]:
        """Lines from a byte on, or those of them with a text, and where to read on."""
        ...

    async def tail(self, entry: str, limit: int) -> int:
        """Where the last so many lines begin."""
        ...

    async def line_offset(self, entry: str, line: int) -> int:
        """Byte at which a line begins, counted from 1; the end of the log if there are not so many."""
        ...

    async def count_lines(self, entry: str) -> int:
        """How many lines the log has so far."""
        ...

    def log_path(self, entry: str) -> str:
        """Where the raw log is."""
        ...


class Prober(Protocol):
    """Asks model servers."""

    async def answers(self, port: int, served_model_name: str) -> bool:
        """Whether a server at the port answers and serves this name."""
        ...

    def free(self, port: int) -> bool:
        """Whether nothing listens at the port."""
        ...


class Models(Protocol):
    """Finds out what is to be served."""

    async def resolve(self, model_path: str) -> str:
        """Directory or hub id for a directory, a hub id or the id of a training job. Raises ServiceError."""
        ...


class Routes(Protocol):
    """The gateway's routes to model servers."""

    async def publish(self, ports: dict[str, int]) -> None:
        """Make these the routes: deployment id to port."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """The gpu service's first word on an entry."""

    granted: bool
    position: int = 0
    reason: str = ""
    wait: float = -1.0


class GpuAnswers(Protocol):
    """Hears what the gpu service says."""

    def listen(self, entry: str) -> AbstractAsyncContextManager[AsyncIterator[Answer]]:
        """Begin to listen before the entry is submitted; the iterator gives at most one answer."""
        ...


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


class LaunchFailed(Exception):
    """The runner could not be started: a sentence, and a reason of the catalogue."""

    def __init__(self, message: str, reason: str = "TRAINER_UNAVAILABLE") -> None:
        super().__init__(message)
        self.reason = reason
