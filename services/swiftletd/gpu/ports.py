"""What the use cases need from outside, and the records that cross that border."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeVar

from swiftletd.gpu.domain.device import Device
from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.lease import Lease, Share
from swiftletd.gpu.domain.policy import Quota
from swiftletd.gpu.domain.predict import Prediction
from swiftletd.gpu.domain.score import Kept
from swiftletd.kernel.idempotency import UNKEYED, Once

T = TypeVar("T")

# ---------------------------------------------------------------------------------------- inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process on a device. `run` is the run of Swiftlet that it says it belongs to; empty if none.

    `started` is in unix seconds, 0 if that can't be told.
    """

    pid: int
    name: str
    user: str
    memory_mib: int
    run: str = ""
    started: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What a device does now. `links` names how other devices are reached, as nvidia-smi does."""

    memory_used_mib: int = 0
    utilization: int = 0
    temperature: int = 0
    power_w: float = 0.0
    processes: tuple[Process, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The devices at one moment, without occupants. `problem` says why the driver doesn't answer."""

    devices: tuple[Device, ...]
    telemetry: Mapping[str, Telemetry] = field(default_factory=dict)
    driver: str = ""
    cuda: str = ""
    problem: str = ""


class Inventory(Protocol):
    """The devices of the machines. Never raises: what doesn't answer is in the reading as such."""

    async def read(self, max_age: float = 1.0) -> Reading:
        """The devices as they were at most `max_age` seconds ago."""
        ...


class Processes(Protocol):
    """The processes of this machine that say which run they belong to."""

    async def of_runs(self) -> Mapping[str, Sequence[int]]:
        """Pids by run, of all processes that carry SWIFTLET_RUN."""
        ...

    async def end(self, run: str, since: float, until: float) -> int:
        """Ends the processes of an ended run that started in that time; how many there were."""
        ...


# --------------------------------------------------------------------------------------- heartbeats


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """What a runner said last: it lives, and how far it is. `seconds_per_step` is 0 while unknown."""

    token: int = 0
    step: int = 0
    total_steps: int = 0
    seconds_per_step: float = 0.0


class Heartbeats(Protocol):
    """The signs of life of runners."""

    async def read(self, runs: Sequence[str]) -> list[Heartbeat | None]:
        """The last heartbeat of each run; None for one that is silent."""
        ...

    async def stop(self, run: str, why: str) -> None:
        """Asks the runner of a run, now or when it starts, to end."""
        ...


# -------------------------------------------------------------------------------------------- store


class State(Enum):
    """Where an entry is in its life. The states of its lease are a part of it."""

    WAITING = "waiting"
    WITHDRAWN = "withdrawn"
    REMOVED = "removed"
    GRANTED = "granted"
    ACTIVE = "active"
    RELEASED = "released"
    EXPIRED = "expired"
    REVOKED = "revoked"


LIVE = frozenset({State.GRANTED, State.ACTIVE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """All that is kept of an entry. `source` is the version of the job that asked for it.

    `prediction` is when it was expected to start as its owner was told, which happened if `told`.
    `revoking` is why its run was asked to end.
    """

    entry: Entry
    state: State
    version: int
    source: int = 0
    similarity: str = ""
    lease: Lease | None = None
    prediction: Prediction | None = None
    told: bool = False
    revoking: str = ""

    @property
    def id(self) -> str:
        return self.entry.id

    @property
    def live(self) -> bool:
        return self.state in LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """It waits. `wait_s` is None if nobody can tell."""

    position: int
    code: str
    reason: str
    wait_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """It has its devices."""

    token: int
    devices: tuple[str, ...]
    visible_devices: str
    gpu_ids: str
    machine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """It has its devices no longer, or never got them."""

    token: int
    state: str
    reason: str


@dataclass(frozen=True, slots=True)
class Removed:
    """An operator took it out of the queue."""


@dataclass(frozen=True, slots=True)
class Moved:
    """It went from one state to another."""

    before: str
    after: str


Body = Waits | Granted | Ended | Removed | Moved


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What the world is told about a change; travels in the same script as the change."""

    type: str
    subject: str
    version: int
    at: float
    message: str
    body: Body | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A record that takes the place of its version before, with the notice of it."""

    record: Record
    notice: Notice
    once: Once[str] = UNKEYED
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Claim:
    """A share with the limits of its device that the grant script checks again."""

    share: Share
    room_mib: int
    max_shares: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantChange:
    """A grant to be committed, within `quota`. `forced` grants while the processor is stopped."""

    record: Record
    notice: Notice
    claims: tuple[Claim, ...]
    quota: Quota = field(default_factory=Quota)
    forced: bool = False

    @property
    def lease(self) -> Lease:
        assert self.record.lease
        return self.record.lease


@dataclass(frozen=True, slots=True, kw_only=True)
class EndChange:
    """The end of a lease, with what is booked at that moment.

    `lasted` is for the history of similar jobs, `part` the part of its time limit that it took, for all.
    """

    record: Record
    notice: Notice
    gpu_seconds: float = 0.0
    lasted: float | None = None
    part: float | None = None


class Outcome(Enum):
    """What became of a change. Only OK changed anything.

    STALE    the entry is not at the version before: read it again.
    TAKEN    a device or a quota has no room any more, or a newer fencing token was given.
    STOPPED  the processor was stopped meanwhile.
    REPEATED the request was answered before.
    """

    OK = "ok"
    STALE = "stale"
    TAKEN = "taken"
    STOPPED = "stopped"
    REPEATED = "repeated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """Everything that a service that starts needs to know. `used` is GPU-seconds by (project, day).

    `kept` are the last predictions that can be judged, the oldest first. `parts` of their time limits
    that the last jobs took, the newest first.
    """

    records: Sequence[Record]
    fence: int
    processing: bool
    used: Mapping[tuple[str, int], float]
    kept: Sequence[Kept]
    parts: Sequence[float] = ()


class Store(Protocol):
    """Entries and leases. Each change and its notice are one atomic step; lists are done in one go."""

    async def load(self) -> Loaded:
        """All that waits or runs."""
        ...

    async def live(self) -> tuple[int, Sequence[Record]]:
        """The fence, and all that has a lease."""
        ...

    async def fetch(self, ids: Sequence[str]) -> list[Record | None]:
        """The records as they are now; None where there is none."""
        ...

    async def enqueue(self, changes: Sequence[Change]) -> list[Outcome]:
        """New entries; version 1, or the next after that of an ended one of the same id."""
        ...

    async def update(self, changes: Sequence[Change]) -> list[Outcome]:
        """Entries that go on waiting: told, moved, held, released."""
        ...

    async def dequeue(self, changes: Sequence[Change]) -> list[Outcome]:
        """Entries that wait no longer and get nothing: withdrawn, removed."""
        ...

    async def grant(self, changes: Sequence[GrantChange]) -> list[Outcome]:
        """Leases, if the entries still wait and the devices still have room."""
        ...

    async def activate(self, changes: Sequence[Change]) -> list[Outcome]:
        """Leases whose runner has begun, or that are asked to end."""
        ...

    async def end(self, changes: Sequence[EndChange]) -> list[Outcome]:
        """Leases that are over; their devices are free."""
        ...

    async def processing(self) -> bool:
        """Whether devices may be granted."""
        ...

    async def set_processing(
        self, running: bool, notice: Notice, again: str, once: Once[str] = UNKEYED
    ) -> bool:
        """Starts or stops all granting; False if it was so already, which `again` says. Raises Repeated."""
        ...

    async def device_changed(self, uuid: str, health: str, notice: Notice) -> bool:
        """Records the health of a device; False if it was known already."""
        ...

    async def kept(self) -> Sequence[Kept]:
        """The last predictions that can be judged, the oldest first."""
        ...

    async def lasted(self, similarities: Iterable[str]) -> Mapping[str, Sequence[float]]:
        """Seconds that the last similar jobs ran, newest first."""
        ...

    async def claim(self, once: Once[T], result: T) -> None:
        """Marks a call whose effect is more than one step, before it. Raises Repeated."""
        ...

    async def improve(self, once: Once[T], result: T) -> None:
        """Lets repeats of a call have an answer that was known only after its effect."""
        ...

    async def drop(self, once: Once[T]) -> None:
        """Takes a claim back."""
        ...

    async def note(self, record: Record, once: Once[str], answer: str) -> bool:
        """Marks a call that found nothing to do; False if the record has changed. Raises Repeated."""
        ...

    async def lead(self, owner: str, ttl: float) -> bool:
        """Takes or keeps the scheduler's lock for `ttl` seconds; False while another has it."""
        ...

    async def resign(self, owner: str) -> None:
        """Gives the scheduler's lock back."""
        ...
