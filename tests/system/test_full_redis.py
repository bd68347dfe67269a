"""Redis runs full under a working suite: what was promised is kept, the rest refused, all goes on after."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from support.redis import RedisServer
from support.suite import API, Suite, fake_trainer
from support.waiting import eventually

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(180)]
MEMBERS = ("gpu", "training", "deploy", "envoy")
LOOK_SECONDS, CPU_SECONDS = 5.0, 2.0
"""Four parts that wait take together far less than this in so long; one that spins takes all of it."""


@pytest.fixture
def suite(make_suite: Callable[..., Suite], private_redis: RedisServer, tmp_path: Path) -> Suite:
    python = str(fake_trainer(tmp_path / "trainer"))
    return make_suite(TRAINER_PYTHON=python, PREFLIGHT="false", REDIS_URL=private_redis.url)


def used(server: RedisServer) -> int:
    with server.client() as client:
        return int(client.info("memory")["used_memory"])


def limit(server: RedisServer, size: int) -> None:
    with server.client() as client:
        client.config_set("maxmemory", size)


def create(suite: Suite, body: dict[str, Any]) -> httpx.Response:
    return suite.api.post(f"{API}/training/jobs", json=body)


def fill(suite: Suite, body: dict[str, Any]) -> tuple[list[str], httpx.Response]:
    """Create jobs until one is refused; the ids of those that were promised, and the refusal."""
    promised: list[str] = []
    while (reply := create(suite, {**body, "auto_start": False})).status_code == httpx.codes.CREATED:
        promised.append(reply.json()["job_id"])
        assert len(promised) < 2000, "Redis does not run full"
    return promised, reply


def cpu_seconds(suite: Suite) -> float:
    times = [psutil.Process(suite.pid(name)).cpu_times() for name in MEMBERS]
    return sum(t.user + t.system for t in times)


def test_a_full_redis_refuses_what_is_new_and_loses_nothing(
    suite: Suite, private_redis: RedisServer, quick_job: dict[str, Any], tmp_path: Path
) -> None:
    body = {**quick_job, "output_dir": str(suite.home / "out")}
    ended = suite.create(**body)
    suite.wait_for(ended, lambda job: job["status"] == "completed")
    long = suite.create(**{**body, "llm_params": {"max_steps": 120, "save_steps": 60}})
    waiting = suite.create(**body)
    suite.wait_for(long, lambda job: job["progress"] > 0)
    queued = suite.job(waiting)["status"]
    assert queued == "queued"

    # When there is no room for more
    limit(private_redis, used(private_redis) + 128 * 1024)
    promised, refused = fill(suite, body)
    limit(private_redis, 1)

    # Then it is said why, and when to come back
    assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE, refused.text
    details = {detail["@type"].rpartition(".")[2]: detail for detail in refused.json()["details"]}
    assert details["ErrorInfo"]["reason"] == "STORE_FULL"
    assert details["RetryInfo"]["retry_delay"] == "10s"
    assert "raise its maxmemory" in refused.json()["message"]

    # And what was promised can be read, what runs goes on to its end, and nobody spins
    assert promised
    assert {suite.job(job_id)["status"] for job_id in promised} == {"pending"}
    run = suite.home / "h" / "runs" / "training" / long / "1"
    before, began = cpu_seconds(suite), time.monotonic()
    eventually(lambda: (run / "exit.json").exists(), "the job does not go on", suite.logs)
    eventually(lambda: time.monotonic() - began >= LOOK_SECONDS, "time stands still")
    assert cpu_seconds(suite) - before < CPU_SECONDS
    assert json.loads((run / "exit.json").read_text())["success"]
    assert suite.job(long)["status"] == "running"  # nobody could write it down
    stopped = suite.api.post(f"{API}/training/jobs/{waiting}/stop")
    assert stopped.status_code == httpx.codes.SERVICE_UNAVAILABLE

    # And room can be made
    assert suite.api.delete(f"{API}/training/jobs/{ended}").status_code == httpx.codes.NO_CONTENT

    # When there is room again, everything is caught up with, once
    limit(private_redis, 0)
    assert suite.wait_for(long, lambda job: job["export_completed"])["status"] == "completed"
    job = suite.wait_for(waiting, lambda job: job["status"] == "completed")
    assert job["attempt"] == 1
    for job_id in (long, waiting):
        assert_told_once(suite, job_id)
    assert suite.get("/training/jobs")["total"] == len(promised) + 2
    assert not [key for key in keys(private_redis) if ":dead:" in key]
    assert create(suite, body).status_code == httpx.codes.CREATED

    # And a failover is survived likewise
    assert_a_failover_is_survived(suite, private_redis, body)


def assert_a_failover_is_survived(suite: Suite, server: RedisServer, body: dict[str, Any]) -> None:
    with server.client() as client:
        client.replicaof("127.0.0.1", 1)
        refused = create(suite, body)
        assert refused.status_code == httpx.codes.SERVICE_UNAVAILABLE
        assert refused.json()["details"][0]["reason"] == "DEPENDENCY_UNAVAILABLE"
        assert suite.get("/training/jobs")["total"] > 0
        client.execute_command("REPLICAOF", "NO", "ONE")
    last = suite.create(**body)
    suite.wait_for(last, lambda job: job["status"] == "completed")


def assert_told_once(suite: Suite, job_id: str) -> None:
    """Its history has each thing once, and its log is complete."""
    events: list[str] = []

    def is_over() -> bool:
        events[:] = [event["type"] for event in suite.get(f"/training/jobs/{job_id}/events")["events"]]
        return "training.job.run_over" in events

    eventually(is_over, "its run isn't over", lambda: str(events))
    assert len(events) == len(set(events)), events
    logs = suite.get(f"/training/jobs/{job_id}/logs", limit=1000)
    raw = "".join(file.read_text() for file in Path(suite.job(job_id)["log_file_path"]).glob("*.log"))
    assert len({line["offset"] for line in logs["logs"]}) == logs["total"] == raw.count("\n")


def keys(server: RedisServer) -> list[str]:
    with server.client() as client:
        return list(client.keys("*"))
