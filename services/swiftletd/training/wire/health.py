"""The health of the suite: what the training service can see of the other parts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swiftlet.gpu.v1 import gpu_service_pb2, gpu_service_pb2_grpc
from swiftlet.training.v1 import training_service_pb2 as pb
from swiftletd.kernel.clock import Clock
from swiftletd.kernel.ids import rfc3339
from swiftletd.kernel.redis.client import UNREACHABLE, Redis, RedisError
from swiftletd.training.storage import Standing, Storage

TIMEOUT = 1.0  # seconds that a part has to answer


class HealthCheck:
    """Asks the parts. `channels` by the name that the contract gives them."""

    def __init__(
        self,
        redis: Redis,
        channels: Mapping[str, grpc.aio.Channel],
        gpu: grpc.aio.Channel,
        clock: Clock,
        storage: Storage,
    ) -> None:
        self._redis, self._channels, self._clock, self._storage = redis, channels, clock, storage
        self._gpu = gpu_service_pb2_grpc.GpuServiceStub(gpu)

    async def ask(self) -> pb.Health:
        """One question to each part, all at the same time."""
        names = list(self._channels)
        asking = asyncio.gather(*(self._ask(self._channels[name]) for name in names))
        redis, count, parts = await asyncio.gather(self._ask_redis(), self._count_gpus(), asking)
        services = {"redis": redis, "training": "healthy", **dict(zip(names, parts, strict=True))}
        well = all(word == "healthy" for word in services.values())
        return pb.Health(
            status=pb.HEALTH_STATUS_HEALTHY if well else pb.HEALTH_STATUS_UNHEALTHY,
            timestamp=rfc3339(self._clock.now()),
            services=services,
            gpu_count=count,
            version=version("swiftletd"),
            **_disks(self._storage.standing()),
        )

    async def _ask_redis(self) -> str:
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._redis.execute_command("PING")  # type: ignore[no-untyped-call]
        except (*UNREACHABLE, RedisError, TimeoutError) as error:
            return f"unreachable: {type(error).__name__}"
        return "healthy"

    async def _ask(self, channel: grpc.aio.Channel) -> str:
        check = health_pb2_grpc.HealthStub(channel).Check  # type: ignore[attr-defined]
        try:
            answer = await check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            return f"unreachable: {error.code().name}"
        serving = answer.status == health_pb2.HealthCheckResponse.SERVING
        return "healthy" if serving else "not ready"

    async def _count_gpus(self) -> int:
        try:
            answer = await self._gpu.ListGpus(gpu_service_pb2.ListGpusRequest(), timeout=TIMEOUT)
        except grpc.aio.AioRpcError:
            return 0
        return sum(1 for gpu in answer.gpus if gpu.uuid.startswith(("GPU-", "MIG-")))


def _disks(standing: Standing) -> dict[str, Any]:
    """How full the disks are, as was last seen."""
    disks = [
        pb.DiskStatus(
            path=level.path,
            used_bytes=level.used,
            total_bytes=level.total,
            promised_bytes=level.promised,
            high=level.high,
        )
        for level in standing.levels
        if level.path
    ]
    outputs = pb.OutputsStatus(
        used_bytes=standing.outputs,
        promised_bytes=standing.promised,
        limit_bytes=standing.limit,
        high=any(level.high for level in standing.levels if not level.path),
    )
    return {"disks": disks, "outputs": outputs}
