"""Looks at the devices: who is on them, and which of them are well."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from swiftletd.gpu.domain.device import Device, DeviceKind, Health, Occupant, busy_sentence
from swiftletd.gpu.ports import Inventory, Process, Processes, Reading, Record, Telemetry
from swiftletd.gpu.usecases import notices
from swiftletd.gpu.usecases.books import Books
from swiftletd.gpu.usecases.leases import Leases

log = structlog.get_logger()

UNSEEN = "a process that the driver does not name"
SLACK_S = 2.0  # the clocks of the lease and of the process table
Span = tuple[float, float]  # from the grant of a lease to its end


class Survey:
    """Keeps the devices of the board true, and tells of every change to them."""

    def __init__(self, books: Books, leases: Leases, inventory: Inventory, processes: Processes) -> None:
        self._books, self._board, self._leases = books, books.board, leases
        self._inventory, self._processes = inventory, processes
        self._spans: dict[str, Span | None] = {}
        self._looking = asyncio.Lock()

    async def look(self, max_age: float = 1.0) -> bool:
        """Looks once. True if a pass could turn out differently now."""
        async with self._looking:
            return await self._look(max_age)

    async def _look(self, max_age: float) -> bool:
        reading = await self._inventory.read(max_age)
        devices = await self._occupied(reading)
        before, changed = self._board.devices, devices != self._board.devices
        self._board.reading, self._board.devices = reading, devices
        if changed:
            await self._tell(before, devices, reading.problem)
            await self._revoke_lost(devices)
        await self._end_orphans(reading)
        return changed

    async def begin(self) -> None:
        """Looks for the first time."""
        await self.look(max_age=0.0)

    @property
    def unsettled(self) -> bool:
        """True while a process of an ended job is still on a device: look again soon."""
        return any(occupant.orphan for device in self._board.devices for occupant in device.occupants)

    async def _occupied(self, reading: Reading) -> tuple[Device, ...]:
        holders: dict[str, set[str]] = {}
        for record in self._board.live():
            assert record.lease
            for share in record.lease.shares:
                holders.setdefault(share.device, set()).add(record.id)
        ended = await self._ended(reading, set().union(*holders.values()))
        return tuple(
            replace(device, occupants=occupants(device, reading, holders, ended))
            for device in reading.devices
        )

    async def _ended(self, reading: Reading, live: set[str]) -> dict[str, Span]:
        """When the runs on devices that are ours and over had their leases. Others are strangers'."""
        seen = {p.run for t in reading.telemetry.values() for p in t.processes if p.run} - live
        unknown = sorted(seen - self._spans.keys())
        for run, record in zip(unknown, await self._books.store.fetch(unknown), strict=True):
            self._spans[run] = _span(record)
        return {run: span for run in seen if (span := self._spans[run])}

    async def _end_orphans(self, reading: Reading) -> None:
        found = [p for t in reading.telemetry.values() for p in t.processes if self._is_orphan(p)]
        for run in sorted({process.run for process in found}):
            since, until = self._spans[run] or (0.0, 0.0)
            ended = await self._processes.end(run, since, until)
            log.warning("orphans_ended", run=run, processes=ended)

    def _is_orphan(self, process: Process) -> bool:
        return process.run not in self._board.records and left_over(process, self._spans)

    async def _tell(self, before: Sequence[Device], after: Sequence[Device], problem: str) -> None:
        now, known = self._books.clock.now(), {device.uuid: device for device in before}
        for device in after:
            old = known.get(device.uuid)
            health = old.health if old else Health.HEALTHY
            if old is None or device.health is not health:
                notice = notices.device(device, health, now, problem)
                await self._books.store.device_changed(device.uuid, device.health.value, notice)
            if busy_sentence(device) != (busy_sentence(old) if old else ""):
                log.info("device_occupied", device=device.uuid, by=busy_sentence(device) or "nobody")

    async def _revoke_lost(self, devices: Sequence[Device]) -> None:
        lost = {device.uuid: device for device in devices if device.health is Health.LOST}
        for record in self._board.live():
            assert record.lease
            for device in (lost[s.device] for s in record.lease.shares if s.device in lost):
                reason = f"GPU {device.index} ({device.uuid}) fell off the bus."
                await self._leases.revoke(record, reason)


def occupants(
    device: Device, reading: Reading, holders: Mapping[str, set[str]], ended: Mapping[str, Span]
) -> tuple[Occupant, ...]:
    """The processes on a device that no lease on it explains.

    Memory of which the driver names no owner counts too, as long as nobody of ours is on the device:
    the owner is in another container. The main memory behind a CPU slot is everybody's, and nobody holds it.
    """
    if device.kind is DeviceKind.CPU:
        return ()
    telemetry = reading.telemetry.get(device.uuid, Telemetry())
    ours = holders.get(device.uuid, set())
    strangers = [p for p in telemetry.processes if p.run not in ours]
    found = [_occupant(process, left_over(process, ended)) for process in strangers]
    named = sum(process.memory_mib for process in telemetry.processes)
    unnamed = telemetry.memory_used_mib - named
    if not ours and not telemetry.processes and unnamed > _idle_mib(device):
        found.append(Occupant(pid=0, name=UNSEEN, user="?", memory_mib=unnamed))
    return tuple(sorted(found, key=lambda occupant: (-occupant.memory_mib, occupant.pid)))


def left_over(process: Process, spans: Mapping[str, Span | None]) -> bool:
    """Whether a process belongs to a run of ours that is over.

    A process that started later has the mark of a run of the same name, in a suite beside ours.
    """
    span = spans.get(process.run)
    return span is not None and span[0] <= process.started <= span[1]


def _span(record: Record | None) -> Span | None:
    if record is None or record.lease is None or record.live:
        return None
    return record.lease.granted_at - SLACK_S, (record.lease.ended_at or 0.0) + SLACK_S


def _occupant(process: Process, orphan: bool) -> Occupant:
    return Occupant(
        pid=process.pid, name=process.name, user=process.user, memory_mib=process.memory_mib, orphan=orphan
    )


def _idle_mib(device: Device) -> int:
    """What a driver keeps of an idle device, at most."""
    return max(1024, device.memory_mib // 50)
