"""The health check of the containers, against a real health service."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

PROBE = Path(__file__).parents[3] / "tools" / "probe.py"
Status = health_pb2.HealthCheckResponse


@pytest.fixture
def gpu_service(tmp_path: Path) -> Iterator[health.HealthServicer]:
    """A server where the gpu service of the home `tmp_path` listens; its health is the test's to set."""
    (tmp_path / "run").mkdir()
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix:{tmp_path}/run/gpu.sock")
    server.start()
    yield servicer
    server.stop(grace=None).wait()


def probe(home: Path, service: str) -> int:
    environment = {"PATH": os.environ["PATH"], "SWIFTLET_HOME": str(home)}
    command = [sys.executable, str(PROBE), service]
    return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=30).returncode


def test_a_service_that_serves_is_healthy(gpu_service: health.HealthServicer, tmp_path: Path) -> None:
    gpu_service.set("", Status.SERVING)
    assert probe(tmp_path, "gpu") == 0


def test_a_service_that_is_not_ready_is_not(gpu_service: health.HealthServicer, tmp_path: Path) -> None:
    gpu_service.set("", Status.NOT_SERVING)
    assert probe(tmp_path, "gpu") == 1


def test_a_service_that_is_not_there_is_not(tmp_path: Path) -> None:
    assert probe(tmp_path, "training") == 1


def test_only_services_can_be_asked(tmp_path: Path) -> None:
    assert probe(tmp_path, "redis") == 2
