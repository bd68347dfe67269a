"""What people ask: where a job stands and why, who is on a GPU, and how good the predictions were."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf

from swiftletd.gpu.domain.device import Device, Health
from swiftletd.gpu.domain.durations import Grounds
from swiftletd.gpu.domain.entry import Entry, EntryKind
from swiftletd.gpu.domain.hints import Hint, hints
from swiftletd.gpu.domain.ledger import crowded
from swiftletd.gpu.domain.outlook import Outlook, outlook
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.predict import Prediction
from swiftletd.gpu.domain.ranking import expected_s, grounds, handicaps
from swiftletd.gpu.domain.reason import Reason
from swiftletd.gpu.domain.score import Score, score
from swiftletd.gpu.domain.snapshot import Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue
from swiftletd.gpu.ports import Record, State, Telemetry
from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.desk import waiting
from swiftletd.gpu.usecases.oracle import Foresight, Oracle
from swiftletd.gpu.usecases.survey import Survey

HINTED = 64  # entries that are looked at for a hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a waiting entry stands. `gpu_ids` are those that it will likely get, "" if nobody can tell.

    It will likely run for `expected_s` seconds, which rests on `grounds`; both None if it has no end.
    """

    record: Record
    position: int
    reason: Reason | None
    prediction: Prediction | None
    gpu_ids: str = ""
    hints: Sequence[Hint] = ()
    expected_s: float | None = None
    grounds: Grounds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """A device, what it does, who holds it, and whether a job could have it now."""

    device: Device
    telemetry: Telemetry
    outlook: Outlook
    crowded: bool
    free: bool


class Answers:
    """Reads the mirror only; nothing here changes anything."""

    def __init__(self, books: Books, oracle: Oracle, survey: Survey) -> None:
        self._books, self._board, self._oracle, self._survey = books, books.board, oracle, survey

    async def queue(self, limit: int, kind: EntryKind | None = None) -> tuple[int, list[Standing]]:
        """How many wait, and the first of them in the order of service."""
        foresight = await self._oracle.affordable()
        numbered = enumerate(self._board.waiting_in_order(self._handicaps()), start=1)
        chosen = (pair for pair in numbered if kind is None or pair[1].entry.kind is kind)
        found = [self._standing(record, position, foresight) for position, record in islice(chosen, limit)]
        total = len(self._board.queue) if kind is None else self._count(kind)
        return total, found

    async def item(self, job_id: str) -> Standing:
        """One waiting job, with what would let it start earlier. Raises NotFound."""
        waiting(self._books, job_id)
        foresight = await self._oracle.affordable()
        record = waiting(self._books, job_id)
        useful = await self._hints(record)
        return self._standing(record, self._position(record), foresight, useful)

    async def gpus(self) -> list[Occupancy]:
        """All devices, by machine and index."""
        await self._survey.look()
        foresight = await self._oracle.affordable()
        now, policy = self._books.clock.now(), self._board.policy
        views = outlook(self._board.snapshot(now), foresight.starts, now, policy)
        devices = sorted(self._board.devices, key=lambda device: (device.machine, device.index, device.uuid))
        return [self._occupancy(device, views[device.uuid]) for device in devices]

    async def score(self) -> Score:
        """How often the predicted starts were kept."""
        return score(await self._books.store.kept(), last=1000)

    def job_of(self, entry_id: str) -> str:
        """The job of a waiting entry; empty if it waits no longer."""
        record = self._board.records.get(entry_id)
        return record.entry.job_id if record and record.state is State.WAITING else ""

    def _standing(
        self, record: Record, position: int, foresight: Foresight, useful: Sequence[Hint] = ()
    ) -> Standing:
        start = foresight.starts.get(record.id)
        plan = self._board.plan
        # The last pass may be a while ago, and what runs has told since how far it is.
        told = plan.reasons.get(record.id) if plan else None
        length = expected_s(record.entry, self._board.policy)
        return Standing(
            record=record,
            position=position,
            reason=foresight.reasons.get(record.id, told),
            prediction=foresight.predictions.get(record.id),
            gpu_ids=self._ids([share.device for share in start.shares]) if start else "",
            hints=useful,
            expected_s=length if length < inf else None,
            grounds=grounds(record.entry, self._board.policy) if length < inf else None,
        )

    def _occupancy(self, device: Device, view: Outlook) -> Occupancy:
        full = crowded(device, self._board.policy)
        whole = any(tenure.memory_mib is None for tenure in view.tenures)
        healthy = device.health is Health.HEALTHY
        telemetry = self._board.reading.telemetry.get(device.uuid, Telemetry())
        free = healthy and not full and not whole
        return Occupancy(device=device, telemetry=telemetry, outlook=view, crowded=full, free=free)

    def _position(self, record: Record) -> int:
        behind = self._handicaps()
        in_line = self._board.queue.position(record.id, behind)
        if in_line is not None:
            return in_line
        order = (waits.id for waits in self._board.waiting_in_order(behind))
        return 1 + next(at for at, id in enumerate(order) if id == record.id)

    async def _hints(self, record: Record) -> list[Hint]:
        now, policy = self._books.clock.now(), self._board.policy
        entries = [*islice(self._board.queue.in_order(self._handicaps()), HINTED), record.entry]
        unique = list({entry.id: entry for entry in entries}.values())
        return await asyncio.to_thread(_hint, self._board.snapshot(now), unique, record.id, now, policy)

    def _handicaps(self) -> Mapping[str, float]:
        now = self._books.clock.now()
        return handicaps(self._board.snapshot(now), now, self._board.policy)

    def _count(self, kind: EntryKind) -> int:
        return sum(self._board.queue.get(id).kind is kind for id in self._board.queue)

    def _ids(self, uuids: Sequence[str]) -> str:
        known = {device.uuid: device.index for device in self._board.devices}
        return ",".join(str(known[uuid]) for uuid in uuids if uuid in known)


def _hint(snapshot: Snapshot, entries: list[Entry], id: str, now: float, policy: Policy) -> list[Hint]:
    return hints(snapshot, WaitingQueue(policy, entries), id, now, policy)
