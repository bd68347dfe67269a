"""What a suite keeps, and what it doesn't: logs by size, and nothing of what was deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from support.redis import RedisServer
from support.suite import API, Suite, fake_trainer
from support.waiting import eventually

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(180)]
LONG = {"max_steps": 10_000}


@pytest.fixture
def suite(make_suite: Callable[..., Suite], private_redis: RedisServer, tmp_path: Path) -> Suite:
    """A suite that keeps the log of no run that ended for long."""
    return make_suite(
        TRAINER_PYTHON=str(fake_trainer(tmp_path / "trainer")),
        PREFLIGHT="false",
        REDIS_URL=private_redis.url,
        RETENTION_GB="0.000000001",
        RETENTION_CHECK_SECONDS="0.3",
        DISK_CHECK_SECONDS="0.3",
        RECOVER_SECONDS="1",  # what is left when a runner was slow to leave is removed by the next look
    )


def test_a_log_that_was_removed_says_so_and_a_deleted_job_leaves_nothing(
    suite: Suite, private_redis: RedisServer, quick_job: dict[str, Any]
) -> None:
    body = {**quick_job, "output_dir": str(suite.home / "out")}
    job_id = suite.create(**body, job_id="job-to-forget")
    job = suite.wait_for(job_id, lambda job: bool(job["attempts"]) and job["attempts"][0]["log_removed"])

    assert "(RETENTION_GB)" in job["attempts"][0]["log_removed"]
    logs = suite.get(f"/training/jobs/{job_id}/logs")
    assert [line["message"] for line in logs["logs"]] == [job["attempts"][0]["log_removed"]]
    assert logs["total"] == 1
    events = [event["type"] for event in suite.get(f"/training/jobs/{job_id}/events")["events"]]
    assert events.count("training.job.log_removed") == 1

    # A model server that has ended (the double can't serve) is no exception
    assert_a_model_servers_log_goes(suite, Path(body["model_path"]))

    # The log of a run that goes on is one
    running = suite.create(**{**body, "llm_params": LONG})
    suite.wait_for(running, lambda job: job["progress"] > 0)
    assert suite.get(f"/training/jobs/{running}/logs")["total"] > 1

    # And when both are deleted, what is left of them runs out by itself
    with redis.Redis.from_url(private_redis.url) as client:
        assert f"swiftlet:{{training}}:job:{job_id}" in lasting(client, job_id)
    for name in (job_id, running):
        assert suite.api.delete(f"{API}/training/jobs/{name}").status_code == httpx.codes.NO_CONTENT
    runs = suite.home / "h" / "runs" / "training"
    eventually(lambda: not list(runs.glob("*")), "directories are left", lambda: str(list(runs.glob("*"))))
    with redis.Redis.from_url(private_redis.url) as client:  # not all that is kept is text
        eventually(
            lambda: not lasting(client, job_id) | lasting(client, running),
            "keys are left",
            lambda: str(lasting(client, job_id) | lasting(client, running)),
        )


def test_a_deployment_that_is_deleted_while_it_serves_leaves_nothing(
    suite: Suite, private_redis: RedisServer, quick_job: dict[str, Any]
) -> None:
    model, name = Path(quick_job["model_path"]), "model-to-forget"
    (model / "config.json").write_text("{}")
    path, asked = f"/deploy/jobs/{name}", {"model_path": str(model), "auto_start": True, "job_id": name}
    runs = suite.home / "h" / "runs" / "deploy"

    def accepted() -> bool:
        return suite.api.post(f"{API}/deploy/jobs", json=asked).status_code == httpx.codes.CREATED

    for attempt in ("1", "2"):  # its id can be used again as soon as nothing of it lives
        eventually(accepted, "it isn't created", suite.logs)
        eventually(lambda: suite.get(path)["status"] == "running", "it doesn't serve", suite.logs)
        assert (runs / name / attempt).is_dir()

        # However early the service is killed: it is deleted for its client, and ended
        assert suite.api.delete(API + path).status_code == httpx.codes.NO_CONTENT
        suite.kill("deploy")
        eventually(
            lambda: suite.api.get(API + path).status_code == httpx.codes.NOT_FOUND, "it is there", suite.logs
        )
        assert suite.get("/deploy/jobs")["total"] == 0

    eventually(lambda: not list(runs.glob("*")), "directories are left", lambda: str(list(runs.glob("*"))))
    with redis.Redis.from_url(private_redis.url) as client:
        eventually(lambda: not lasting(client, name), "keys are left", lambda: str(lasting(client, name)))
    eventually(lambda: suite.get("/training/gpus")["gpus"][0]["available"], "the device isn't free")


def assert_a_model_servers_log_goes(suite: Suite, model: Path) -> None:
    (model / "config.json").write_text("{}")
    (model / "fake_swift.json").write_text('{"crash_after": 0.5}')
    asked = {"model_path": str(model), "auto_start": True}
    deployment = suite.api.post(f"{API}/deploy/jobs", json=asked).json()["job_id"]
    path = f"/deploy/jobs/{deployment}"
    eventually(lambda: suite.get(path)["status"] == "failed", "it serves", lambda: str(suite.get(path)))

    def texts() -> list[str]:
        return [line["message"] for line in suite.get(f"{path}/logs")["logs"]]

    eventually(
        lambda: len(texts()) == 1 and "(RETENTION_GB)" in texts()[0], "its log stays", lambda: str(texts())
    )


# What is trimmed by age or by number, with all that is in it; results count until they are removed.
PASSING = {
    "swiftlet:{training}:events",
    "swiftlet:{deploy}:events",
    "swiftlet:{gpu}:events",
    "swiftlet:{runs}:events",
    "swiftlet:{runs}:tail",
    "swiftlet:{gpu}:kept",
    "swiftlet:{training}:outputs",
}


def lasting(client: redis.Redis, job_id: str) -> set[str]:
    """Keys that know the job and neither expire nor are trimmed."""
    keys = {key.decode() for key in client.scan_iter("swiftlet:*")} - PASSING
    found = {key for key in keys if job_id in f"{key} {content(client, key)}"}
    return {key for key in found if client.ttl(key) == -1}


def content(client: redis.Redis, key: str) -> str:
    read = {
        "string": client.get,
        "hash": client.hgetall,
        "set": client.smembers,
        "list": lambda key: client.lrange(key, 0, -1),
        "zset": lambda key: client.zrange(key, 0, -1),
        "stream": client.xrange,
    }
    kind = client.type(key).decode()
    return str(read[kind](key)) if kind in read else ""
