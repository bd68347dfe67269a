"""A device that a job can hold: a GPU, a MIG slice of one, or the one CPU slot of a bare machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from types import MappingProxyType

MIB_PER_GIB = 1024
CPU_SLOT_UUID = "cpu:0"


class DeviceKind(Enum):
    GPU = "gpu"
    MIG = "mig"
    CPU = "cpu"


class Health(Enum):
    """What is known of the device itself, whoever uses it.

    HEALTHY  answers, and may be granted.
    LOST     fell off the bus; its machine and driver still answer.
    FAILED   answers, but reports an error that a job would trip over.
    UNKNOWN  the driver or the machine does not answer, so nothing is known.
    DRAINED  taken out of service by an operator, and only an operator brings it back.
    """

    HEALTHY = "healthy"
    LOST = "lost"
    FAILED = "failed"
    UNKNOWN = "unknown"
    DRAINED = "drained"


TRANSITIONS: Mapping[Health, frozenset[Health]] = MappingProxyType(
    {
        Health.HEALTHY: frozenset({Health.LOST, Health.FAILED, Health.UNKNOWN, Health.DRAINED}),
        Health.LOST: frozenset({Health.HEALTHY, Health.FAILED, Health.UNKNOWN, Health.DRAINED}),
        Health.FAILED: frozenset({Health.HEALTHY, Health.LOST, Health.UNKNOWN, Health.DRAINED}),
        Health.UNKNOWN: frozenset({Health.HEALTHY, Health.LOST, Health.FAILED, Health.DRAINED}),
        Health.DRAINED: frozenset({Health.HEALTHY}),
    }
)


class Link(IntEnum):
    """How two devices talk to each other; a larger number is faster."""

    NETWORK = 0
    MACHINE = 1
    NUMA = 2
    SWITCH = 3
    NVLINK = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupant:
    """A process on a device that no lease explains.

    `orphan` marks a process of one of our own jobs that outlived it: it will be ended.
    Everybody else is a stranger, who is waited for and never touched.
    """

    pid: int
    name: str
    user: str
    memory_mib: int
    orphan: bool = False

    def sentence(self) -> str:
        gib = self.memory_mib / MIB_PER_GIB
        whose = "left over by an ended job" if self.orphan else f"of user {self.user}"
        return f"pid {self.pid} ({self.name}) {whose}, {gib:.1f} GiB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One thing to grant. `index` is its place on `machine`; `memory_mib` its total memory.

    `island`, `switch` and `numa` name the NVLink island, PCIe switch and NUMA node, unique within
    the machine; empty where unknown. `links` overrides them pair by pair, by the other's uuid.
    """

    uuid: str
    index: int
    machine: str
    name: str
    memory_mib: int
    kind: DeviceKind = DeviceKind.GPU
    health: Health = Health.HEALTHY
    parent: str | None = None
    island: str = ""
    switch: str = ""
    numa: str = ""
    links: Mapping[str, Link] = field(default_factory=dict)
    occupants: tuple[Occupant, ...] = ()

    @property
    def foreign_mib(self) -> int:
        """Memory that no lease explains, in MiB."""
        return sum(occupant.memory_mib for occupant in self.occupants)


class HealthError(ValueError):
    """A health change that the table does not allow."""


def advance(device: Device, to: Health) -> Device:
    """The device in its new health. Raises HealthError where the table forbids the step."""
    if to not in TRANSITIONS[device.health]:
        raise HealthError(f"device {device.uuid} cannot go from {device.health.value} to {to.value}")
    return replace(device, health=to)


def link(a: Device, b: Device) -> Link:
    """The fastest way between two devices."""
    if a.machine != b.machine:
        return Link.NETWORK
    if b.uuid in a.links:
        return a.links[b.uuid]
    same = ((a.island, b.island, Link.NVLINK), (a.switch, b.switch, Link.SWITCH), (a.numa, b.numa, Link.NUMA))
    return next((level for left, right, level in same if left and left == right), Link.MACHINE)


def busy_sentence(device: Device) -> str:
    """`busy: pid 4711 (python) of user x, 30.2 GiB`, largest process first; empty if nobody is there."""
    if not device.occupants:
        return ""
    by_size = sorted(device.occupants, key=lambda occupant: -occupant.memory_mib)
    return "busy: " + "; ".join(occupant.sentence() for occupant in by_size)


def cpu_slot(machine: str, memory_mib: int) -> Device:
    """The one honest slot of a machine without a GPU driver."""
    return Device(
        uuid=CPU_SLOT_UUID, index=0, machine=machine, name="CPU", memory_mib=memory_mib, kind=DeviceKind.CPU
    )
