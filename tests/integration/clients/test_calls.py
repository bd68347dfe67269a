"""Calls over a real channel: retries, deadlines, errors, pages."""

from __future__ import annotations

import asyncio

import grpc
import pytest

import swiftlet
from integration.clients.conftest import SOON
from integration.clients.doubles import DONE, Refusal
from swiftlet import Client as SyncClient
from swiftlet import Retry
from swiftlet.aio import Client
from swiftlet.training.v1 import job_pb2

BUSY = Refusal(grpc.StatusCode.UNAVAILABLE, "NOT_READY", "Recovering.", retry_after=0.01)


async def test_a_create_that_was_refused_twice_is_repeated_as_the_same_request(suite, client):
    suite.training.refusals.extend([BUSY, BUSY])

    job = await client.train("org/model", "org/data", "out", lora_rank=8)

    assert job.id == "job-3"
    ids = {request.request_id for request in suite.training.created}
    assert len(suite.training.created) == 3
    assert len(ids) == 1
    assert all(ids)


async def test_two_creates_are_two_requests(suite, client):
    await client.train("org/model", "org/data", "out")
    await client.train("org/model", "org/data", "out")

    assert len({request.request_id for request in suite.training.created}) == 2


async def test_with_retries_off_the_first_refusal_reaches_the_caller(suite):
    suite.training.refusals.append(BUSY)

    async with Client(suite.address, retry=Retry.off()) as client:
        with pytest.raises(swiftlet.Unavailable, match="Recovering") as caught:
            await client.train("org/model", "org/data", "out")

    assert caught.value.retry_after == pytest.approx(0.01)
    assert len(suite.training.created) == 1


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"), swiftlet.InvalidArgument),
        (Refusal(grpc.StatusCode.INVALID_ARGUMENT, "PATH_NOT_USABLE"), swiftlet.PathNotUsable),
        (Refusal(grpc.StatusCode.FAILED_PRECONDITION, "WRONG_STATE"), swiftlet.WrongState),
        (Refusal(grpc.StatusCode.FAILED_PRECONDITION, "IMPOSSIBLE_REQUEST"), swiftlet.ImpossibleRequest),
        (Refusal(grpc.StatusCode.ALREADY_EXISTS, "ALREADY_EXISTS"), swiftlet.AlreadyExists),
        (Refusal(grpc.StatusCode.ABORTED, "CONFLICT"), swiftlet.Conflict),
        (Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "PORT_TAKEN"), swiftlet.LimitReached),
        (Refusal(grpc.StatusCode.INTERNAL, "INTERNAL"), swiftlet.InternalError),
        # A reason that this client doesn't know yet, and an error that no service wrote: by its code.
        (Refusal(grpc.StatusCode.NOT_FOUND, "SOME_NEW_REASON"), swiftlet.NotFound),
        (Refusal(grpc.StatusCode.FAILED_PRECONDITION), swiftlet.WrongState),
        (Refusal(grpc.StatusCode.UNIMPLEMENTED), swiftlet.Unsupported),
    ],
)
async def test_an_error_is_told_by_its_reason_and_else_by_its_code(suite, client, refusal, kind):
    suite.training.refusals.append(refusal)

    with pytest.raises(swiftlet.SwiftletError) as caught:
        await client.train("org/model", "org/data", "out")

    assert type(caught.value) is kind
    assert caught.value.reason == refusal.reason


async def test_a_refused_field_comes_with_its_name_and_what_is_wrong(suite, client):
    suite.training.refusals.append(
        Refusal(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_ARGUMENT", fields={"priority": "must be 0 to 10"})
    )

    with pytest.raises(swiftlet.InvalidArgument) as caught:
        await client.train("org/model", "org/data", "out", priority=11)

    assert caught.value.fields == (swiftlet.FieldError("priority", "must be 0 to 10"),)


async def test_an_unknown_job_is_not_found(client):
    with pytest.raises(swiftlet.NotFound, match="no training job 'nope'") as caught:
        await client.job("nope")

    assert caught.value.metadata["id"] == "nope"


async def test_a_silent_server_is_a_deadline(suite, monkeypatch):
    async def find(job_id, context):
        await asyncio.sleep(30)

    monkeypatch.setattr(suite.training, "_find", find)
    async with Client(suite.address, timeout=0.2) as client:
        with pytest.raises(swiftlet.DeadlineExceeded, match="longer timeout"):
            await client.job("slow")


async def test_nobody_listens_says_how_to_start_the_suite(unused_tcp_port):
    async with Client(f"127.0.0.1:{unused_tcp_port}", retry=Retry.off()) as client:
        with pytest.raises(swiftlet.Unreachable, match=r"127\.0\.0\.1:\d+\. Start the suite"):
            await client.health()


async def test_jobs_are_read_page_by_page_as_they_are_asked_for(suite, client):
    for number in range(5):
        suite.training.jobs[f"j{number}"] = job_pb2.TrainingJob(id=f"j{number}", status=DONE)

    listed = [job.id async for job in client.jobs(page_size=2)]
    pages = [page async for page in client.jobs(status="completed", page_size=2).pages()]
    none = [job async for job in client.jobs(status="failed")]

    assert listed == ["j0", "j1", "j2", "j3", "j4"]
    assert [len(page.items) for page in pages] == [2, 2, 1]
    assert {page.total for page in pages} == {5}
    assert none == []


async def test_deployments_are_read_page_by_page(suite, client):
    for _ in range(3):
        await client.deploy("org/model")

    assert [one.id async for one in client.deployments(page_size=2)] == ["serve-1", "serve-2", "serve-3"]


async def test_a_deployment_is_deleted(suite, client):
    deployment = await client.deploy("org/model")
    await deployment.delete()
    assert suite.deploy.deployments == {}


async def test_a_deployment_is_waited_for_until_it_answers(suite, client):
    deployment = await client.deploy("job-1", wait=True, served_model_name="birds")

    assert deployment.status == "running"
    assert deployment.url == f"http://{suite.address}/serve/serve-1/v1"
    assert suite.deploy.created[0].auto_start
    assert suite.deploy.created[0].served_model_name == "birds"


async def test_a_deployment_that_fails_is_an_error_and_not_a_wait_for_ever(suite, client):
    suite.deploy.statuses = ["pending", "failed"]

    with pytest.raises(swiftlet.DeploymentFailed, match="doesn't run"):
        await client.deploy("job-1", wait=True)


async def test_the_sync_client_does_the_same(suite):
    suite.training.refusals.append(BUSY)

    def story():
        with SyncClient(suite.address, retry=SOON) as client:
            job = client.train("org/model", "org/data", "out", num_epochs=2, wait=True)
            return job.status, [item.id for item in client.jobs()], client.queue().total

    assert await asyncio.to_thread(story) == ("completed", ["job-2"], 0)
