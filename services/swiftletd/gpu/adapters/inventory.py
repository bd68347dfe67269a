"""Devices of this machine: what the driver says, and the CPU slot where there is no driver."""

from __future__ import annotations

from swiftletd.gpu.adapters.cpu import cpu_reading
from swiftletd.gpu.ports import Reading


class LocalInventory:
    """Placeholder until NVML is read."""

    async def read(self, max_age: float = 1.0) -> Reading:
        return cpu_reading()
