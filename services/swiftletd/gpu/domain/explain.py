"""Why an entry was not granted: worked out when somebody asks, once for all entries that ask the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from swiftletd.gpu.domain.device import Device, Health, busy_sentence
from swiftletd.gpu.domain.entry import Entry
from swiftletd.gpu.domain.horizon import Ending, opening
from swiftletd.gpu.domain.ledger import Ledger, crowded
from swiftletd.gpu.domain.placement import candidates, fits
from swiftletd.gpu.domain.plan import Reservation
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.quotas import Allowance
from swiftletd.gpu.domain.reason import Blocker, Code, Kind, Reason
from swiftletd.gpu.domain.request import Shape
from swiftletd.gpu.domain.snapshot import Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue


@dataclass(slots=True)
class Outcome:
    """What a pass leaves behind, for explaining it."""

    snapshot: Snapshot
    now: float
    policy: Policy
    ledger: Ledger
    allowance: Allowance
    reservations: tuple[Reservation, ...]
    endings: Callable[[], list[Ending]]
    by_shape: dict[Shape, Reason] = field(default_factory=dict)


class Reasons(Mapping[str, Reason]):
    """One reason for every entry that still waits. Reading one costs well under a millisecond."""

    def __init__(self, queue: WaitingQueue, granted: frozenset[str], outcome: Outcome) -> None:
        self._queue, self._granted, self._outcome = queue, granted, outcome

    def __getitem__(self, entry_id: str) -> Reason:
        if entry_id in self._granted:
            raise KeyError(entry_id)
        return explain(self._queue.get(entry_id), self._outcome)

    def __iter__(self) -> Iterator[str]:
        return (entry_id for entry_id in self._queue if entry_id not in self._granted)

    def __len__(self) -> int:
        return len(self._queue) - sum(entry_id in self._queue for entry_id in self._granted)


def explain(entry: Entry, outcome: Outcome) -> Reason:
    """The first thing that keeps the entry from starting, in the order in which one would act on it."""
    if entry.held:
        return Reason(code=Code.HELD)
    if entry.request.earliest_start > outcome.now:
        return Reason(code=Code.NOT_BEFORE, wait_s=entry.request.earliest_start - outcome.now)
    if not outcome.snapshot.processing:
        return Reason(code=Code.STOPPED)
    shape = entry.request.shape
    excess = outcome.allowance.exceeded(entry.project, shape.gpus)
    reason = outcome.by_shape.get(shape)
    if reason is None:
        reason = outcome.by_shape[shape] = _of_shape(shape, outcome)
    if excess is not None and reason.code not in PERMANENT:
        reason = replace(_base(shape), code=excess.code, limit=excess.limit, used=excess.used)
    return replace(reason, gpu_name=entry.request.gpu_name) if shape.gpu_name else reason


PERMANENT = frozenset({Code.NO_SUCH_DEVICE, Code.TOO_FEW_DEVICES, Code.UNHEALTHY})


def _base(shape: Shape) -> Reason:
    """A reason that says what was asked for; its code is to be replaced."""
    return Reason(
        code=Code.BUSY,
        gpus=shape.gpus,
        memory_mib=max(shape.memory_mib, shape.min_memory_mib),
        gpu_name=shape.gpu_name,
        same_machine=shape.same_machine and shape.gpus > 1,
        shared=shape.shared,
    )


def _of_shape(shape: Shape, outcome: Outcome) -> Reason:
    if fits(outcome.ledger, shape):
        return _kept_for_another(shape, outcome)
    return _never(shape, outcome) or _stranger(shape, outcome) or _busy(shape, outcome)


def _kept_for_another(shape: Shape, outcome: Outcome) -> Reason:
    """It fits, so it waits for an entry in front of it."""
    code = Code.RESERVED if outcome.policy.backfill else Code.BEHIND
    mine = {slot.device.uuid for slot in candidates(outcome.ledger, shape)}
    for kept in (kept for kept in outcome.reservations if kept.devices & mine):
        wait = max(0.0, kept.start_at - outcome.now)
        return replace(_base(shape), code=code, ahead=kept.job_id, wait_s=wait)
    return replace(_base(shape), code=Code.BEHIND)


def _never(shape: Shape, outcome: Outcome) -> Reason | None:
    """It would not fit if everybody left, because devices are missing or out of service."""
    exist = _count(_ideal(outcome.snapshot.devices, outcome), shape)
    healthy = _count(_ideal(_healthy(outcome), outcome), shape)
    if not exist:
        return replace(_base(shape), code=Code.NO_SUCH_DEVICE, kinds=_kinds(outcome.snapshot.devices))
    if exist < shape.gpus:
        return replace(_base(shape), code=Code.TOO_FEW_DEVICES, exist=exist)
    if healthy < shape.gpus:
        return replace(_base(shape), code=Code.UNHEALTHY, exist=exist, free=healthy)
    return None


def _stranger(shape: Shape, outcome: Outcome) -> Reason | None:
    """It would fit if only the strangers left."""
    ledger = _ideal(_healthy(outcome), outcome)
    for holding in outcome.endings():
        ledger.take(holding.shares)
    if not fits(ledger, shape):
        return None
    held = _busy(shape, outcome)
    free, busy = _count(outcome.ledger, shape), _intruders(ledger, shape, outcome)
    told = replace(_base(shape), code=Code.STRANGER, free=free, busy=busy)
    return replace(told, wait_s=held.wait_s, blockers=held.blockers) if held.wait_s is not None else told


def _busy(shape: Shape, outcome: Outcome) -> Reason:
    """Other jobs hold what it needs: who, and until when."""
    free = candidates(outcome.ledger, shape)
    fragmented = shape.same_machine and len(free) >= shape.gpus
    endings = outcome.endings()
    found = opening(outcome.ledger, endings, shape)
    wanted = found.devices if found else _unbounded(endings, shape, outcome)
    machine = _machine_of(wanted, outcome) if shape.same_machine else ""
    there = [slot for slot in free if not machine or slot.device.machine == machine]
    return replace(
        _base(shape),
        code=Code.FRAGMENTED if fragmented else Code.BUSY,
        free=len(there),
        exist=len(free) if fragmented else 0,
        machine=machine,
        wait_s=found.at - outcome.now if found else None,
        blockers=_blockers(found.endings if found else endings, wanted, outcome.now),
    )


def _blockers(endings: Iterable[Ending], wanted: frozenset[str], now: float) -> tuple[Blocker, ...]:
    found = []
    for ending in endings:
        frees = sum(share.device in wanted for share in ending.shares)
        if frees:
            known = ending.at < inf
            in_s, why = (ending.at - now, ending.grounds) if known else (None, None)
            found.append(Blocker(ending.job_id, frees, in_s, why))
    return tuple(found)


def _unbounded(endings: Iterable[Ending], shape: Shape, outcome: Outcome) -> frozenset[str]:
    """Suitable devices whose holders have no end; where the shape needs one machine, of the emptiest one."""
    suitable = {slot.device.uuid for slot in candidates(Ledger(_healthy(outcome), outcome.policy), shape)}
    held = [share.device for ending in endings if ending.at == inf for share in ending.shares]
    stuck = [uuid for uuid in dict.fromkeys(held) if uuid in suitable]
    if not shape.same_machine:
        return frozenset(stuck)
    machines = Counter(outcome.ledger.slots[uuid].device.machine for uuid in stuck)
    emptiest = min(machines, key=lambda machine: machines[machine], default="")
    return frozenset(uuid for uuid in stuck if outcome.ledger.slots[uuid].device.machine == emptiest)


def _machine_of(wanted: frozenset[str], outcome: Outcome) -> str:
    return next((outcome.ledger.slots[uuid].device.machine for uuid in wanted), "")


def _kinds(devices: Iterable[Device]) -> tuple[Kind, ...]:
    """What there is, the most frequent first."""
    counts = Counter((device.name, device.memory_mib) for device in devices)
    return tuple(Kind(name, mib, count) for (name, mib), count in counts.most_common())


def _healthy(outcome: Outcome) -> list[Device]:
    return [device for device in outcome.snapshot.devices if device.health is Health.HEALTHY]


def _ideal(devices: Iterable[Device], outcome: Outcome) -> Ledger:
    return Ledger(devices, outcome.policy, ideal=True)


def _count(ledger: Ledger, shape: Shape) -> int:
    """How many devices the shape could have: on the best machine, if it needs one machine."""
    machines = Counter(slot.device.machine for slot in candidates(ledger, shape))
    return max(machines.values(), default=0) if shape.same_machine else machines.total()


def _intruders(ledger: Ledger, shape: Shape, outcome: Outcome) -> str:
    """Who is on the devices that the shape could have, three at most."""
    crowd = [slot.device for slot in candidates(ledger, shape) if crowded(slot.device, outcome.policy)]
    said = [f"GPU {device.index} of {device.machine} is {busy_sentence(device)}" for device in crowd[:3]]
    return ". ".join(said) + (f". So are {len(crowd) - 3} more" if len(crowd) > 3 else "")
