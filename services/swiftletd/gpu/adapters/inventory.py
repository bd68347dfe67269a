"""Devices of this machine: what the driver says, and the CPU slot where there never was a driver."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from swiftletd.gpu.adapters.cpu import cpu_reading
from swiftletd.gpu.adapters.nvml import Driver, DriverAway
from swiftletd.gpu.domain.device import Health
from swiftletd.gpu.ports import Reading

PATIENCE_S = 10.0
HUNG = "the driver has not answered for {:.0f} s"


class NvmlInventory:
    """Readings are made one at a time in a thread of their own, and shared for `max_age` seconds.

    A driver can hang for ever in the kernel. Then its devices are unknown until it answers again.
    """

    def __init__(self, driver: Driver, *, patience: float = PATIENCE_S) -> None:
        self._driver, self._patience = driver, patience
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="nvml")
        self._running: asyncio.Future[Reading] | None = None
        self._last: Reading | None = None
        self._last_at = 0.0

    async def read(self, max_age: float = 1.0) -> Reading:
        if self._last and time.monotonic() - self._last_at < max_age:
            return self._last
        reading = self._running
        if reading is None or reading.done():
            loop = asyncio.get_running_loop()
            reading = self._running = loop.run_in_executor(self._thread, self._read)
        await asyncio.wait({reading}, timeout=self._patience)
        if not reading.done():
            return self._hung()
        self._last, self._last_at = reading.result(), time.monotonic()
        return self._last

    def close(self) -> None:
        """Ends the thread, unless the driver holds it."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _read(self) -> Reading:
        try:
            return self._driver.read()
        except DriverAway as error:
            return cpu_reading(str(error))

    def _hung(self) -> Reading:
        problem = HUNG.format(self._patience)
        if not self._last:
            return Reading(devices=(), problem=problem)
        unknown = (replace(device, health=Health.UNKNOWN) for device in self._last.devices)
        return replace(self._last, devices=tuple(unknown), problem=problem)
