"""A service that goes away and comes back: nothing is asked twice that may not be, and nobody waits long."""

from __future__ import annotations

import threading
import time

import httpx
import pytest

from integration.gateway.conftest import start_gateway, stop_gateway, wait_for
from integration.gateway.double import TrainingProcess

JOBS = "/api/v1/training/jobs"


@pytest.fixture
def alone(tmp_path):
    """A gateway whose training service each test starts and stops itself."""
    upstreams = {name: (f"unix:{tmp_path / name}.sock",) for name in ("gpu", "training", "deploy")}
    running = start_gateway(tmp_path / "gateway", upstreams)
    try:
        wait_for(f"{running.url}/info")
        yield running
    finally:
        stop_gateway(running)


@pytest.fixture
def start(tmp_path):
    """Starts the double on the socket that the gateway knows."""
    started: list[TrainingProcess] = []

    def run() -> TrainingProcess:
        process = TrainingProcess(str(tmp_path / "training.sock"))
        process.start()
        started.append(process)
        return process

    yield run
    for process in started:
        if not process.loop.is_closed():
            process.stop()


def test_a_service_that_comes_up_is_found_at_once(alone, start):
    assert httpx.get(f"{alone.url}{JOBS}").status_code == 503
    start()
    began = time.monotonic()
    wait_for(f"{alone.url}{JOBS}")
    assert time.monotonic() - began < 5


def test_a_service_that_went_and_came_back_is_found_again(alone, start):
    first = start()
    wait_for(f"{alone.url}{JOBS}")
    first.stop()
    wait_for(f"{alone.url}{JOBS}", status=503)
    start()
    wait_for(f"{alone.url}{JOBS}")


def test_a_create_that_may_have_been_done_is_not_sent_again(alone, start):
    first = start()
    wait_for(f"{alone.url}{JOBS}")
    answers = []
    body = {"data_path": "a", "job_id": "slow"}
    asking = threading.Thread(
        target=lambda: answers.append(httpx.post(f"{alone.url}{JOBS}", json=body, timeout=20))
    )
    asking.start()
    while not any(getattr(request, "job_id", "") == "slow" for request in first.training.requests):
        time.sleep(0.01)
    first.stop()
    second = start()
    asking.join(20)
    assert answers[0].status_code >= 499
    assert set(answers[0].json()) == {"code", "message", "details"}
    assert not second.training.requests
