"""Devices from a JSON file, any number of machines and GPUs: for rehearsal and for tests.

    {"machines": [
       {"name": "node-1", "gpus": [{"name": "NVIDIA H100 80GB HBM3", "memory_mib": 81559, "count": 8}]},
       {"name": "node-2", "cpu_slots": 2, "gpus": [
          {"name": "NVIDIA L40S", "memory_mib": 46068, "health": "lost", "numa": "0", "island": ""}]}]}

The file is read again when it changes, so a rehearsal can lose a GPU and get it back. `processes` of a GPU
are strangers on it: {"pid": 4711, "name": "python", "user": "x", "memory_mib": 30925}.

It is a rehearsal: whatever machine a job gets GPUs of, it is started on this one, with the indices of that
machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from swiftletd.gpu.domain.device import Device, DeviceKind, Health
from swiftletd.gpu.ports import Process, Reading, Telemetry

log = structlog.get_logger()


class Occupying(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A process on a GPU."""

    pid: int
    name: str
    user: str
    memory_mib: int


class Gpus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`count` GPUs alike."""

    name: str
    memory_mib: int
    count: int = 1
    used_mib: int = 0
    processes: tuple[Occupying, ...] = ()
    health: Health = Health.HEALTHY
    island: str = ""
    switch: str = ""
    numa: str = ""


class Machine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A machine with GPUs, or with slots without any."""

    name: str
    gpus: tuple[Gpus, ...] = ()
    cpu_slots: int = 0
    cpu_memory_mib: int = 16 * 1024


class Inventory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds."""

    machines: tuple[Machine, ...]


class InventoryError(ValueError):
    """The file can't be used; the text names it and says what is wrong."""


class FileInventory:
    """Raises InventoryError for a file that can't be used at the start; later the last good one is kept."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp = (0, 0)
        self._reading = Reading(devices=())
        self._refresh()

    async def read(self, max_age: float = 1.0) -> Reading:
        try:
            await asyncio.to_thread(self._refresh)
        except InventoryError as error:
            log.warning("inventory_unusable", error=str(error))
        return self._reading

    def _refresh(self) -> None:
        try:
            stat = self._path.stat()
            stamp = (stat.st_mtime_ns, stat.st_size)
            if stamp != self._stamp:
                self._reading = parse(self._path.read_bytes())
                self._stamp = stamp
        except (OSError, msgspec.MsgspecError, ValueError) as error:
            raise InventoryError(f"GPU_INVENTORY: {self._path} can't be used: {error}") from error


def parse(text: bytes) -> Reading:
    """The devices of a file. Raises msgspec.MsgspecError, or ValueError for a machine that comes twice."""
    machines = msgspec.json.decode(text, type=Inventory).machines
    names = [machine.name for machine in machines]
    if len(set(names)) < len(names):
        raise ValueError("a machine comes twice")
    rows = [row for machine in machines for row in (*_gpus(machine), *_slots(machine))]
    return Reading(
        devices=tuple(device for device, _ in rows),
        telemetry={device.uuid: telemetry for device, telemetry in rows},
    )


def _gpus(machine: Machine) -> Iterator[tuple[Device, Telemetry]]:
    alike = [gpus for gpus in machine.gpus for _ in range(gpus.count)]
    for index, gpus in enumerate(alike):
        device = Device(
            uuid=f"GPU-{machine.name}-{index}",
            index=index,
            machine=machine.name,
            name=gpus.name,
            memory_mib=gpus.memory_mib,
            health=gpus.health,
            island=gpus.island,
            switch=gpus.switch,
            numa=gpus.numa,
        )
        yield device, _telemetry(gpus)


def _telemetry(gpus: Gpus) -> Telemetry:
    held = sum(process.memory_mib for process in gpus.processes)
    named = (Process(pid=p.pid, name=p.name, user=p.user, memory_mib=p.memory_mib) for p in gpus.processes)
    return Telemetry(memory_used_mib=max(gpus.used_mib, held), processes=tuple(named))


def _slots(machine: Machine) -> Iterator[tuple[Device, Telemetry]]:
    for index in range(machine.cpu_slots):
        device = Device(
            uuid=f"cpu:{machine.name}:{index}",
            index=index,
            machine=machine.name,
            name="CPU",
            memory_mib=machine.cpu_memory_mib,
            kind=DeviceKind.CPU,
        )
        yield device, Telemetry()
