"""When a deployment is ready, and where it is reached."""

from __future__ import annotations

from swiftlet._shared.config import Address
from swiftlet._shared.errors import DeploymentFailed
from swiftlet.deploy.v1.deployment_pb2 import Deployment, DeployStatus

_STARTING = frozenset({DeployStatus.DEPLOY_STATUS_PENDING, DeployStatus.DEPLOY_STATUS_QUEUED})


def base_url(address: Address, deployment: Deployment) -> str:
    """The URL under which clients of the OpenAI API find it."""
    return address.url + (deployment.url or f"/serve/{deployment.job_id}/v1")


def is_settled(deployment: Deployment) -> bool:
    """True once it answers, or has ended."""
    return deployment.status not in _STARTING


def running(deployment: Deployment) -> Deployment:
    """The deployment, if it answers; raises DeploymentFailed else."""
    if deployment.status == DeployStatus.DEPLOY_STATUS_RUNNING:
        return deployment
    if deployment.status == DeployStatus.DEPLOY_STATUS_CANCELLED:
        raise DeploymentFailed(f"Deployment {deployment.job_id} was stopped.", deployment)
    why = deployment.error_message or "see its log."
    raise DeploymentFailed(f"Deployment {deployment.job_id} doesn't run: {why}", deployment)
