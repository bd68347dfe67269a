"""What the gpu service knows of the machines."""

from __future__ import annotations

import grpc.aio

from swiftlet.gpu.v1 import gpu_service_pb2, gpu_service_pb2_grpc

TIMEOUT = 2.0  # seconds
CPU = "cpu:"  # how the uuid of a slot without a GPU begins


class GpuMachines:
    """See ports.Machines. Asked anew each time: a driver may come back, a machine may be added."""

    def __init__(self, gpu: grpc.aio.Channel) -> None:
        self._gpu = gpu_service_pb2_grpc.GpuServiceStub(gpu)

    async def only_cpu(self) -> bool:
        try:
            answer = await self._gpu.ListGpus(gpu_service_pb2.ListGpusRequest(), timeout=TIMEOUT)
        except grpc.aio.AioRpcError:
            return False  # the job waits, and fails there if it must
        return bool(answer.gpus) and all(gpu.uuid.startswith(CPU) for gpu in answer.gpus)
