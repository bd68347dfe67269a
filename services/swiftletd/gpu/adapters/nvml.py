"""What the NVIDIA driver says of its GPUs. Blocking; `NvmlInventory` calls it in a thread.

One GPU that is lost never hides the others, and a driver that goes away never raises out of here: the
devices that were known stay known, as lost or unknown.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import pynvml as nv

from swiftletd.gpu.adapters import nvml_topology
from swiftletd.gpu.domain.device import Device, DeviceKind, Health
from swiftletd.gpu.ports import Process, Reading, Telemetry

MIB = 2**20
NOT_AVAILABLE = 2**64 - 1
LOST = frozenset({nv.NVML_ERROR_GPU_IS_LOST, nv.NVML_ERROR_GPU_NOT_FOUND})
DRIVER_AWAY = frozenset(
    {
        nv.NVML_ERROR_UNINITIALIZED,
        nv.NVML_ERROR_DRIVER_NOT_LOADED,
        nv.NVML_ERROR_LIBRARY_NOT_FOUND,
        nv.NVML_ERROR_LIB_RM_VERSION_MISMATCH,
    }
)

T = TypeVar("T")
Describe = Callable[[int, int], Process]


class DriverAway(Exception):
    """The driver doesn't answer at all; the text says why."""


@dataclass(slots=True)
class Found:
    """A GPU or a slice of one that answered, with its handle."""

    handle: Any
    device: Device
    telemetry: Telemetry = field(default_factory=Telemetry)


class Driver:
    """Reads all GPUs. `describe(pid, MiB)` tells who a process is. Not safe for threads."""

    def __init__(self, describe: Describe) -> None:
        self._describe = describe
        self._open = False
        self._known: dict[str, Device] = {}
        self._at_index: dict[int, list[str]] = {}

    @property
    def seen(self) -> bool:
        """Whether there ever was a GPU here."""
        return bool(self._known)

    def read(self) -> Reading:
        """All GPUs as they are now. Raises DriverAway where there never was one."""
        try:
            return self._read()
        except (nv.NVMLError, DriverAway) as error:
            self._close()
            if not self._known:
                raise DriverAway(str(error)) from error
            devices = (replace(device, health=Health.UNKNOWN) for device in self._known.values())
            return Reading(devices=tuple(devices), problem=str(error))

    def _read(self) -> Reading:
        self._ensure_open()
        machine, found = platform.node(), []
        lost: list[Device] = []
        for index in range(nv.nvmlDeviceGetCount()):
            try:
                here = self._gpu(index, machine)
            except nv.NVMLError as error:
                if error.value in DRIVER_AWAY:
                    raise
                lost += self._as_of_before(index, Health.LOST if error.value in LOST else Health.FAILED)
                continue
            found += here
            self._at_index[index] = [one.device.uuid for one in here]
        return self._reading(nvml_topology.linked(found), lost)

    def _reading(self, found: list[Found], lost: list[Device]) -> Reading:
        answered = {one.device.uuid: one.device for one in found}
        lost = [device for device in lost if device.uuid not in answered]  # it moved to another index
        gone = [replace(known, health=Health.LOST) for known in self._vanished(answered, lost)]
        self._known = {**{d.uuid: d for d in (*lost, *gone)}, **answered}
        return Reading(
            devices=(*answered.values(), *lost, *gone),
            telemetry={one.device.uuid: one.telemetry for one in found},
            driver=nv.nvmlSystemGetDriverVersion(),
            cuda=_cuda(nv.nvmlSystemGetCudaDriverVersion_v2()),
        )

    def _vanished(self, answered: dict[str, Device], lost: list[Device]) -> list[Device]:
        """Whole GPUs that the driver doesn't count any more. Slices come and go by an operator's will."""
        there = answered.keys() | {device.uuid for device in lost}
        return [
            device
            for device in self._known.values()
            if device.uuid not in there and device.kind is DeviceKind.GPU
        ]

    def _ensure_open(self) -> None:
        if not self._open:
            nv.nvmlInit()
            self._open = True

    def _close(self) -> None:
        """A driver that comes back must be opened anew."""
        if self._open:
            self._open = False
            optional(nv.nvmlShutdown, None)

    def _as_of_before(self, index: int, health: Health) -> list[Device]:
        """What was last known of the GPU at this index; one that never answered has no identity."""
        known = [self._known[uuid] for uuid in self._at_index.get(index, ()) if uuid in self._known]
        return [replace(device, health=health) for device in known]

    def _gpu(self, index: int, machine: str) -> list[Found]:
        """The GPU, and the slices that it is cut into."""
        handle = nv.nvmlDeviceGetHandleByIndex(index)
        device = Device(
            uuid=nv.nvmlDeviceGetUUID(handle),
            index=index,
            machine=machine,
            name=nv.nvmlDeviceGetName(handle),
            memory_mib=_memory(handle)[0],
        )
        whole = Found(handle, device, self._telemetry(handle))
        if not _is_cut(handle):
            return [whole]
        slices = self._slices(handle, device)
        # Without a slice there is nothing on it that CUDA could use.
        return [whole, *slices] if slices else [replace(whole, device=replace(device, health=Health.FAILED))]

    def _slices(self, gpu: Any, parent: Device) -> list[Found]:
        found = []
        for number in range(nv.nvmlDeviceGetMaxMigDeviceCount(gpu)):
            handle = optional(partial(nv.nvmlDeviceGetMigDeviceHandleByIndex, gpu, number), None)
            if handle is not None:
                found.append(self._slice(handle, parent))
        return found

    def _slice(self, handle: Any, parent: Device) -> Found:
        device = Device(
            uuid=nv.nvmlDeviceGetUUID(handle),
            index=parent.index,
            machine=parent.machine,
            name=nv.nvmlDeviceGetName(handle),
            memory_mib=_memory(handle)[0],
            kind=DeviceKind.MIG,
            parent=parent.uuid,
        )
        return Found(handle, device, self._telemetry(handle))

    def _telemetry(self, handle: Any) -> Telemetry:
        """What the device does. Slices don't tell most of it, and some GPUs don't either."""
        return Telemetry(
            memory_used_mib=_memory(handle)[1],
            utilization=optional(lambda: int(nv.nvmlDeviceGetUtilizationRates(handle).gpu), 0),
            temperature=optional(lambda: _temperature(handle), 0),
            power_w=optional(lambda: nv.nvmlDeviceGetPowerUsage(handle) / 1000, 0.0),
            processes=self._processes(handle),
        )

    def _processes(self, handle: Any) -> tuple[Process, ...]:
        listed = nv.nvmlDeviceGetComputeRunningProcesses(handle)
        memory = {one.pid: (one.usedGpuMemory or 0) // MIB for one in listed}
        return tuple(self._describe(pid, mib) for pid, mib in sorted(memory.items()))


def optional(ask: Callable[[], T], otherwise: T) -> T:
    """The answer, or `otherwise` where the GPU doesn't give one. A lost GPU or driver still raises."""
    try:
        return ask()
    except nv.NVMLError as error:
        if error.value in LOST or error.value in DRIVER_AWAY:
            raise
        return otherwise


def _memory(handle: Any) -> tuple[int, int]:
    """MiB in all and in use; without what the driver keeps for itself, where it can tell."""
    try:
        info = nv.nvmlDeviceGetMemoryInfo(handle, nv.nvmlMemory_v2)
    except nv.NVMLError as error:
        if error.value in LOST or error.value in DRIVER_AWAY:
            raise
        info = nv.nvmlDeviceGetMemoryInfo(handle)
    return info.total // MIB, info.used // MIB


def _temperature(handle: Any) -> int:
    return int(nv.nvmlDeviceGetTemperature(handle, nv.NVML_TEMPERATURE_GPU))


def _is_cut(handle: Any) -> bool:
    mode = optional(lambda: nv.nvmlDeviceGetMigMode(handle)[0], nv.NVML_DEVICE_MIG_DISABLE)
    return bool(mode == nv.NVML_DEVICE_MIG_ENABLE)


def _cuda(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"
