"""Where a request goes. Best fit: the smallest hole that holds it, so that large ones stay whole.

Shares go to devices that are shared already, the fullest first, and open a free device only when
none has room. So small jobs pack together, and whole devices stay for those who need them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from swiftletd.gpu.domain.lease import Share
from swiftletd.gpu.domain.ledger import Ledger, Pool, Slot
from swiftletd.gpu.domain.request import Shape
from swiftletd.gpu.domain.topology import closest

NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Room:
    """Slots of one machine that could each serve one device of the request."""

    machine: str
    memory_mib: int
    slots: list[Slot]


def place(ledger: Ledger, shape: Shape, avoid: Collection[str] = NONE) -> tuple[Share, ...] | None:
    """Devices for the shape out of what is free, or None where it does not fit.

    `avoid` names devices that are kept for somebody else.
    """
    rooms = _rooms(ledger.matching(shape), shape, avoid)
    slots = _choose(rooms, shape)
    if slots is None:
        return None
    memory = shape.memory_mib if shape.shared else None
    ordered = sorted(slots, key=lambda slot: (slot.device.machine, slot.device.index))
    return tuple(Share(slot.device.uuid, memory) for slot in ordered)


def fits(ledger: Ledger, shape: Shape, avoid: Collection[str] = NONE) -> bool:
    """Whether `place` would find devices, without choosing them."""
    rooms = _rooms(ledger.matching(shape), shape, avoid)
    counts = _per_machine(rooms)
    most = max(counts.values(), default=0) if shape.same_machine else sum(counts.values())
    return most >= shape.gpus


def candidates(ledger: Ledger, shape: Shape, avoid: Collection[str] = NONE) -> list[Slot]:
    """Every slot that could serve one device of the shape now."""
    return [slot for room in _rooms(ledger.matching(shape), shape, avoid) for slot in room.slots]


def _rooms(pools: Iterable[Pool], shape: Shape, avoid: Collection[str]) -> list[Room]:
    found = []
    for pool in pools:
        slots = _with_room(pool, shape, avoid)
        if slots:
            found.append(Room(pool.machine, pool.model.memory_mib, slots))
    return found


def _with_room(pool: Pool, shape: Shape, avoid: Collection[str]) -> list[Slot]:
    slots = [*pool.open.values(), *pool.free.values()] if shape.shared else list(pool.free.values())
    if not slots or not (avoid or shape.memory_mib):
        return slots
    return [slot for slot in slots if slot.free_mib >= shape.memory_mib and slot.device.uuid not in avoid]


def _per_machine(rooms: Iterable[Room]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for room in rooms:
        counts[room.machine] = counts.get(room.machine, 0) + len(room.slots)
    return counts


def _choose(rooms: list[Room], shape: Shape) -> list[Slot] | None:
    """One model on one machine if it can be, then one machine, then as few machines as possible."""
    if not rooms:
        return None
    if shape.shared:
        return _choose_shared(rooms, shape)
    chosen = _one_room(rooms, shape.gpus) or _one_room(_merged(rooms), shape.gpus)
    if chosen is None and not shape.same_machine:
        return _across(rooms, shape.gpus)
    return chosen


def _one_room(rooms: Iterable[Room], count: int) -> list[Slot] | None:
    enough = [room for room in rooms if len(room.slots) >= count]
    if not enough:
        return None
    return _closest(min(enough, key=lambda room: (room.memory_mib, len(room.slots))).slots, count)


def _merged(rooms: Iterable[Room]) -> list[Room]:
    """The rooms of each machine as one, for a gang of different models."""
    machines: dict[str, Room] = {}
    for room in rooms:
        merged = machines.setdefault(room.machine, Room(room.machine, 0, []))
        merged.slots.extend(room.slots)
    return list(machines.values())


def _across(rooms: list[Room], count: int) -> list[Slot] | None:
    """Fills the emptiest machines first, and puts the rest where it fits best."""
    by_memory: dict[int, list[Room]] = {}
    for room in rooms:
        by_memory.setdefault(room.memory_mib, []).append(room)
    for choice in (*by_memory.values(), _merged(rooms)):
        if sum(len(room.slots) for room in choice) >= count:
            return _fill(choice, count)
    return None


def _fill(rooms: Iterable[Room], count: int) -> list[Slot]:
    taken: list[Slot] = []
    left = sorted(rooms, key=lambda room: -len(room.slots))
    while len(taken) < count:
        rest = _one_room(left, count - len(taken))
        taken += rest if rest is not None else left.pop(0).slots
    return taken


def _closest(slots: list[Slot], count: int) -> list[Slot]:
    by_uuid = {slot.device.uuid: slot for slot in slots}
    return [by_uuid[device.uuid] for device in closest((slot.device for slot in slots), count)]


def _choose_shared(rooms: list[Room], shape: Shape) -> list[Slot] | None:
    if not shape.same_machine:
        rooms = [Room("", 0, [slot for room in rooms for slot in room.slots])]
    enough = [room for room in _merged(rooms) if len(room.slots) >= shape.gpus]
    choices = [sorted(room.slots, key=_packing)[: shape.gpus] for room in enough]
    return min(choices, key=lambda slots: [_packing(slot) for slot in slots], default=None)


def _packing(slot: Slot) -> tuple[bool, int, int]:
    """Shared devices before free ones, then the one with the least room."""
    return slot.tenants == 0, slot.free_mib, slot.device.index
