"""Which jobs' models are served: the deploy service knows."""

from __future__ import annotations

import grpc.aio

from swiftlet.deploy.v1 import deploy_service_pb2, deploy_service_pb2_grpc, deployment_pb2
from swiftletd.training.domain.job import Job

TIMEOUT = 5.0  # seconds
PAGE = 100
_ACTIVE = (
    deployment_pb2.DEPLOY_STATUS_PENDING,
    deployment_pb2.DEPLOY_STATUS_QUEUED,
    deployment_pb2.DEPLOY_STATUS_RUNNING,
)


class DeployedModels:
    """See ports.Served."""

    def __init__(self, deploy: grpc.aio.Channel) -> None:
        self._deploy = deploy_service_pb2_grpc.DeployServiceStub(deploy)

    async def serves(self, job: Job) -> bool:
        try:
            return await self._is_among_them(job)
        except grpc.aio.AioRpcError:
            return True

    async def _is_among_them(self, job: Job) -> bool:
        for status in _ACTIVE:
            page, total = 1, 1
            while (page - 1) * PAGE < total:
                request = deploy_service_pb2.ListDeploymentsRequest(status=status, page=page, size=PAGE)
                answer = await self._deploy.ListDeployments(request, timeout=TIMEOUT)
                if any(_serves(it, job) for it in answer.deployments):
                    return True
                page, total = page + 1, answer.total
        return False


def _serves(it: deployment_pb2.Deployment, job: Job) -> bool:
    return it.model_path == job.id or it.served_path in {job.export_path, job.checkpoint_path} - {""}
