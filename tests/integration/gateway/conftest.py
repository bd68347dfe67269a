"""A real Envoy on a free port, in front of a real gRPC server."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest

from integration.gateway.double import TrainingProcess
from support.redis import free_port
from swiftlet_gateway import Options, Paths, command, write_config

START_SECONDS = 20.0
TRUSTED = "https://trusted.example"


@dataclass
class Gateway:
    """Where it is and what it was built from."""

    host: str
    paths: Paths
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://{self.host}"


def start_gateway(out: Path, upstreams: dict[str, tuple[str, ...]], **more: object) -> Gateway:
    port = free_port()
    paths = write_config(Options(out=out, port=port, upstreams=upstreams, **more))
    with (out / "envoy.log").open("wb") as log:
        process = subprocess.Popen(command(paths.bootstrap, workers=1), stderr=log)
    return Gateway(f"127.0.0.1:{port}", paths, process)


def stop_gateway(gateway: Gateway) -> None:
    gateway.process.terminate()
    gateway.process.wait(10)


def wait_for(url: str, status: int = 200) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            if httpx.get(url).status_code == status:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.02)
    pytest.fail(f"{url} did not answer {status} within {START_SECONDS} s")


@pytest.fixture(scope="session")
def sockets(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="session")
def training_process(sockets: Path) -> Iterator[TrainingProcess]:
    process = TrainingProcess(str(sockets / "training.sock"))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="session")
def gateway(sockets: Path, training_process: TrainingProcess) -> Iterator[Gateway]:
    """gpu and deploy are down."""
    upstreams = {name: (f"unix:{sockets / name}.sock",) for name in ("gpu", "training", "deploy")}
    running = start_gateway(
        sockets / "gateway", upstreams, request_timeout=2.0, cors_origins=(TRUSTED,), host_names=("gpu-box",)
    )
    try:
        wait_for(f"{running.url}/api/v1/training/jobs")
        yield running
    finally:
        stop_gateway(running)


@pytest.fixture
def training(training_process: TrainingProcess):
    """What the service was asked."""
    training_process.training.requests.clear()
    training_process.training.watchers_gone.clear()
    return training_process.training


@pytest.fixture
def client(gateway: Gateway, training) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gateway.url, timeout=10) as http:
        yield http


@pytest.fixture
def channel(gateway: Gateway, training) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(gateway.host) as native:
        yield native
