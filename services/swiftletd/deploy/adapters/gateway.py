"""The gateway's routes, in the file that it watches."""

from __future__ import annotations

import asyncio
from pathlib import Path

from swiftletd.deploy.adapters.routes import ModelServer, publish


class GatewayRoutes:
    """See ports.Routes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def publish(self, ports: dict[str, int]) -> None:
        servers = [ModelServer(deployment=key, port=port) for key, port in ports.items()]
        await asyncio.to_thread(publish, self._path, servers)
