"""A grpc.aio server with health, reflection, interceptors and an orderly end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc.aio
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from swiftletd.kernel.rpc.call import Wrapped
from swiftletd.kernel.rpc.described import SERVICES
from swiftletd.kernel.rpc.idempotent import Marks, idempotent
from swiftletd.kernel.rpc.interceptors import Gate, standard
from swiftletd.kernel.settings import SuiteSettings

log = structlog.get_logger()

OPTIONS = [
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 20_000),  # clients ping every 30 s
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.so_reuseport", 0),
]


class Server:
    """A server that is up but says NOT_SERVING until `serve()` is called."""

    def __init__(self, name: str, settings: SuiteSettings, marks: Marks) -> None:
        self.gate = Gate(name)
        self._name, self._settings = name, settings
        self._health = HealthServicer()
        self._interceptors = standard(self.gate, settings.request_timeout)
        self._innermost = idempotent(marks)
        self.grpc = grpc.aio.server(options=OPTIONS)
        self._services: list[str] = []

    async def start(self, add: Callable[[grpc.aio.Server], None], services: Sequence[str]) -> None:
        """Bind and listen. `services` are the full names, for health."""
        self._services = ["", *services]
        await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        Wrapped(self.grpc, self._interceptors, self._innermost).add(add)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        if self._settings.grpc_reflection:
            names = [
                *SERVICES,
                reflection.SERVICE_NAME,
                health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            ]
            reflection.enable_server_reflection(names, self.grpc)
        listen = self._settings.listen(self._name)
        _prepare(listen)
        self.grpc.add_insecure_port(listen)
        await self.grpc.start()
        log.info("listening", address=listen)

    async def serve(self) -> None:
        """Recovery is through: let requests in."""
        self.gate.open()
        await self._say(health_pb2.HealthCheckResponse.SERVING)
        log.info("serving")

    async def drain(self) -> None:
        """Send clients elsewhere, end the streams, give running calls their time, then stop."""
        with suppress(Exception):
            await self._say(health_pb2.HealthCheckResponse.NOT_SERVING)
        self.gate.close()
        await self.grpc.stop(self._settings.drain_seconds)

    async def _say(self, status: int) -> None:
        for service in self._services:
            await self._health.set(service, status)


def _prepare(listen: str) -> None:
    """A socket file that a killed process left behind would make the bind fail."""
    if listen.startswith("unix:"):
        path = Path(listen.removeprefix("unix:"))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)


@asynccontextmanager
async def running(
    server: Server, add: Callable[[grpc.aio.Server], None], services: Sequence[str]
) -> AsyncIterator[Server]:
    """The server from its start to its orderly end."""
    await server.start(add, services)
    try:
        yield server
    finally:
        await server.drain()
