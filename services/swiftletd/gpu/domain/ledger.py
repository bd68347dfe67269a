"""The working account of one pass: what is free, and what each step takes or gives back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from swiftletd.gpu.domain.device import Device, DeviceKind, Health
from swiftletd.gpu.domain.lease import Share
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.request import Shape


@dataclass(frozen=True, slots=True)
class Model:
    """Devices of one model are interchangeable."""

    name: str
    memory_mib: int
    kind: DeviceKind

    def suits(self, shape: Shape) -> bool:
        """Slices of a GPU cannot talk to each other, so a gang never gets them."""
        if self.kind is DeviceKind.MIG and shape.gpus > 1:
            return False
        enough = self.memory_mib >= max(shape.memory_mib, shape.min_memory_mib)
        return enough and shape.gpu_name in self.name.casefold()


@dataclass(slots=True)
class Slot:
    """One device with what is taken of it.

    `room_mib` is what shares may take all together; `tenants` hold it, `owners` of them as a whole.
    """

    device: Device
    room_mib: int
    pool: Pool
    used_mib: int = 0
    tenants: int = 0
    owners: int = 0

    @property
    def free_mib(self) -> int:
        return 0 if self.owners else self.room_mib - self.used_mib


@dataclass(slots=True)
class Pool:
    """The usable devices of one model on one machine: `free` ones, and `open` ones with shares on."""

    machine: str
    model: Model
    free: dict[str, Slot] = field(default_factory=dict)
    open: dict[str, Slot] = field(default_factory=dict)


def usable(device: Device, policy: Policy) -> bool:
    """Healthy, and proven empty: strangers hold no more than the policy lets them."""
    return device.health is Health.HEALTHY and not crowded(device, policy)


def crowded(device: Device, policy: Policy) -> bool:
    """Whether processes that no lease explains keep the device from being granted."""
    if not device.occupants:
        return False
    foreign = device.foreign_mib
    keep_free = min(policy.stranger_free_mib, 0.9 * device.memory_mib)
    return foreign > policy.stranger_fraction * device.memory_mib or device.memory_mib - foreign < keep_free


class Ledger:
    """Mutable, and private to one pass. Devices that may not be granted are not in it."""

    def __init__(self, devices: Iterable[Device], policy: Policy, *, ideal: bool = False) -> None:
        """`ideal` counts every device as healthy and empty, to tell what could ever fit."""
        self.policy = policy
        self.slots: dict[str, Slot] = {}
        self._pools: dict[tuple[str, str, int, bool], Pool] = {}
        self._matching: dict[Shape, tuple[Pool, ...]] = {}
        every = tuple(devices)
        parents = {device.parent for device in every if device.parent}
        for device in every:
            if device.uuid not in parents and (ideal or usable(device, policy)):
                self._add(device, 0 if ideal else device.foreign_mib)

    def _add(self, device: Device, foreign_mib: int) -> None:
        key = (device.machine, device.name, device.memory_mib, device.kind is DeviceKind.MIG)
        pool = self._pools.get(key)
        if pool is None:
            pool = self._pools[key] = Pool(device.machine, Model(device.name, device.memory_mib, device.kind))
        room = device.memory_mib - foreign_mib - self.policy.share_reserve_mib
        self.slots[device.uuid] = pool.free[device.uuid] = Slot(device, room, pool)

    @property
    def is_full(self) -> bool:
        """Whether nothing at all can be granted."""
        return not any(pool.free or pool.open for pool in self._pools.values())

    def matching(self, shape: Shape) -> tuple[Pool, ...]:
        """Pools whose model suits the shape, the smallest sufficient memory first."""
        pools = self._matching.get(shape)
        if pools is None:
            suited = [pool for pool in self._pools.values() if pool.model.suits(shape)]
            suited.sort(key=lambda pool: pool.model.memory_mib)
            pools = self._matching[shape] = tuple(suited)
        return pools

    def take(self, shares: Iterable[Share]) -> None:
        """Books the shares; devices that the ledger does not know (lost ones) are passed over."""
        for share in shares:
            slot = self.slots.get(share.device)
            if slot is not None:
                slot.tenants += 1
                slot.owners += share.memory_mib is None
                slot.used_mib += share.memory_mib or 0
                self._file(slot)

    def give_back(self, shares: Iterable[Share]) -> None:
        """Undoes `take`."""
        for share in shares:
            slot = self.slots.get(share.device)
            if slot is not None:
                slot.tenants -= 1
                slot.owners -= share.memory_mib is None
                slot.used_mib -= share.memory_mib or 0
                self._file(slot)

    def _file(self, slot: Slot) -> None:
        uuid = slot.device.uuid
        slot.pool.free.pop(uuid, None)
        slot.pool.open.pop(uuid, None)
        if slot.tenants == 0:
            slot.pool.free[uuid] = slot
        elif not slot.owners and slot.tenants < self.policy.max_shares:
            slot.pool.open[uuid] = slot
