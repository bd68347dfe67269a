"""Whose log may be removed: not that of a job that runs, exports or is served."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from contract.training.test_store import a_job, created
from support.redis import RedisServer
from swiftlet.deploy.v1 import deploy_service_pb2 as pb
from swiftlet.deploy.v1 import deploy_service_pb2_grpc, deployment_pb2
from swiftletd.kernel.clock import SystemClock
from swiftletd.kernel.redis.client import connect
from swiftletd.training.adapters.served import PAGE, DeployedModels
from swiftletd.training.adapters.store import RedisJobStore
from swiftletd.training.domain import decide
from swiftletd.training.domain.job import Attempt, AttemptState, ExportState, Job, Lease, State, changed
from swiftletd.training.usecases import Training

OVER = Attempt(
    number=1, lease=Lease(token=1, devices=("cpu:0",)), state=AttemptState.COMPLETED, run_over=True
)
SENTENCE = "The log of this run (1.0 MiB) was removed."


@dataclass
class Served:
    """A double that serves these jobs."""

    jobs: set[str] = field(default_factory=set)

    async def serves(self, job: Job) -> bool:
        return job.id in self.jobs


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[RedisJobStore]:
    async with connect(redis_server.url) as redis:
        yield RedisJobStore(redis, SystemClock())
        await redis.connection_pool.disconnect()


def training(store: RedisJobStore, *served: str) -> Training:
    nothing: Any = None  # runs and answers have no part in this
    return Training(store, nothing, nothing, SystemClock(), served=Served(set(served)))


def ended(key: str, **changes: object) -> Job:
    done = a_job(key, state=State.COMPLETED, attempts=(OVER,), export=ExportState.DONE)
    return changed(done, **changes)


async def test_a_job_that_is_over_says_once_when_and_why(store: RedisJobStore) -> None:
    await store.commit(None, created(ended("a")))
    for _ in range(2):
        assert await training(store).release_log("a", "training-a-1", SENTENCE)
    job = await store.get("a")
    assert job
    assert job.attempts[0].log_removed == SENTENCE
    items, _ = await store.history("a", 10)
    assert [item.happened.type for item in items] == ["training.job.created", "training.job.log_removed"]


@pytest.mark.parametrize(
    "job",
    [
        ended("a", export=ExportState.RUNNING),
        changed(ended("a"), state=State.RUNNING),
        changed(ended("a"), attempts=(replace(OVER, run_over=False),)),
    ],
    ids=["exports", "runs", "has a runner"],
)
async def test_a_job_that_is_not_over_keeps_its_logs(store: RedisJobStore, job: Job) -> None:
    await store.commit(None, created(job))
    assert not await training(store).release_log("a", "training-a-1", SENTENCE)
    assert decide.log_removed(job, "training-a-1", SENTENCE) is None


async def test_a_job_that_is_served_keeps_its_logs(store: RedisJobStore) -> None:
    await store.commit(None, created(ended("a")))
    assert not await training(store, "a").release_log("a", "training-a-1", SENTENCE)
    assert await training(store, "b").release_log("a", "training-a-1", SENTENCE)


async def test_the_log_of_a_job_that_was_deleted_may_go(store: RedisJobStore) -> None:
    assert await training(store).release_log("gone", "training-gone-1", SENTENCE)


class Deployments(deploy_service_pb2_grpc.DeployServiceServicer):
    """A double of the deploy service: so many deployments of other models run, and the last one of this."""

    def __init__(self, last: deployment_pb2.Deployment) -> None:
        other = deployment_pb2.Deployment(model_path="other", status=deployment_pb2.DEPLOY_STATUS_RUNNING)
        self.listed = [*[other] * PAGE, last]

    async def ListDeployments(self, request: pb.ListDeploymentsRequest, context: Any) -> Any:
        found = [it for it in self.listed if it.status == request.status]
        begin = (request.page - 1) * request.size
        return pb.ListDeploymentsResponse(deployments=found[begin : begin + request.size], total=len(found))


@pytest.mark.parametrize(
    ("last", "serves"),
    [
        ({"model_path": "a", "status": deployment_pb2.DEPLOY_STATUS_RUNNING}, True),
        ({"model_path": "a", "status": deployment_pb2.DEPLOY_STATUS_QUEUED}, True),
        ({"served_path": "/out/merged", "status": deployment_pb2.DEPLOY_STATUS_RUNNING}, True),
        ({"model_path": "a", "status": deployment_pb2.DEPLOY_STATUS_CANCELLED}, False),
        ({"model_path": "b", "status": deployment_pb2.DEPLOY_STATUS_RUNNING}, False),
    ],
)
async def test_the_deploy_service_tells_what_is_served(
    last: dict[str, Any], serves: bool, tmp_path: Path
) -> None:
    server, address = grpc.aio.server(), f"unix:{tmp_path}/d.sock"
    double = Deployments(deployment_pb2.Deployment(**last))
    deploy_service_pb2_grpc.add_DeployServiceServicer_to_server(double, server)
    server.add_insecure_port(address)
    await server.start()
    async with grpc.aio.insecure_channel(address) as channel:
        models = DeployedModels(channel)
        assert await models.serves(ended("a", export_path="/out/merged")) is serves
        await server.stop(0)
        assert await models.serves(ended("a"))  # nobody can tell
