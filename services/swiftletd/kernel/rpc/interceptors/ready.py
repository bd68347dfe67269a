"""Requests wait a moment for a service that is still recovering, and are refused by one that is leaving."""

from __future__ import annotations

import asyncio
from typing import Any

from swiftletd.kernel.errors import NotReady
from swiftletd.kernel.rpc.call import Call, Proceed


class Gate:
    """Closed until `open()`; closed again for good by `close()`. Open streams hear of the closing."""

    def __init__(self, service: str, patience: float = 2.0) -> None:
        self._service, self._patience = service, patience
        self._open = asyncio.Event()
        self.closing = asyncio.Event()

    def open(self) -> None:
        """Let requests in."""
        self._open.set()

    def close(self) -> None:
        """Let no more in and ask the streams to end."""
        self._open.clear()
        self.closing.set()

    async def __call__(self, call: Call, proceed: Proceed) -> Any:
        if not self._open.is_set():
            await self._wait()
        return await proceed(call)

    async def _wait(self) -> None:
        if self.closing.is_set():
            raise NotReady(self._service, f"The {self._service} service is stopping. Try again in a moment.")
        try:
            async with asyncio.timeout(self._patience):
                await self._open.wait()
        except TimeoutError:
            text = f"The {self._service} service is still recovering. Try again in a moment."
            raise NotReady(self._service, text) from None
