"""A machine without GPUs: one honest slot, on which a small job really runs."""

from __future__ import annotations

import platform

import psutil

from swiftletd.gpu.domain.device import CPU_SLOT_UUID, cpu_slot
from swiftletd.gpu.ports import Reading, Telemetry

MIB = 2**20


def cpu_reading(problem: str = "") -> Reading:
    """The slot, with the load of the machine; `problem` says why there is no driver."""
    memory = psutil.virtual_memory()
    telemetry = Telemetry(memory_used_mib=memory.used // MIB, utilization=round(psutil.cpu_percent()))
    return Reading(
        devices=(cpu_slot(platform.node(), memory.total // MIB),),
        telemetry={CPU_SLOT_UUID: telemetry},
        problem=problem,
    )
