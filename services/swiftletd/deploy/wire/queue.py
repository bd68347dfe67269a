"""The deployments that wait for GPUs: the gpu service's queue, asked for their kind."""

from __future__ import annotations

import grpc.aio

from swiftlet.deploy.v1 import deploy_service_pb2 as pb
from swiftlet.gpu.v1 import gpu_service_pb2, gpu_service_pb2_grpc
from swiftletd.deploy.ports import DeploymentStore
from swiftletd.kernel.errors import Unavailable

TIMEOUT = 5.0  # seconds
MOST = 1000


class Queue:
    """Asks the gpu service, and adds what only we know."""

    def __init__(self, gpu: grpc.aio.Channel, store: DeploymentStore) -> None:
        self._gpu = gpu_service_pb2_grpc.GpuServiceStub(gpu)
        self._store = store

    async def list(self) -> pb.ListDeployQueueResponse:
        """In the order in which they will be served."""
        request = gpu_service_pb2.ListQueueRequest(kind="deploy", limit=MOST)
        try:
            found = await self._gpu.ListQueue(request, timeout=TIMEOUT)
        except grpc.aio.AioRpcError as error:
            raise Unavailable("gpu") from error
        answer = pb.ListDeployQueueResponse()
        for item in found.queue_items:
            it = await self._store.get(item.job_id)
            if it is None or it.doomed:  # deleted: the gpu service hears of it in a moment
                continue
            answer.queue_items.add(
                job_id=item.job_id,
                queue_position=item.queue_position,
                priority=item.priority,
                port=it.port,
                created_at=item.created_at,
                estimated_wait_time=item.estimated_wait_time,
                reason=item.reason,
            )
        answer.total_queued = len(answer.queue_items)
        return answer
