"""A server of doubles on a free port."""

from __future__ import annotations

import grpc
import pytest

from integration.clients.doubles import DeployDouble, GpuDouble, Suite, TrainingDouble
from swiftlet import Retry
from swiftlet.aio import Client
from swiftlet.deploy.v1.deploy_service_pb2_grpc import add_DeployServiceServicer_to_server
from swiftlet.gpu.v1.gpu_service_pb2_grpc import add_GpuServiceServicer_to_server
from swiftlet.training.v1.training_service_pb2_grpc import add_TrainingServiceServicer_to_server

SOON = Retry(first_delay=0.01, longest_delay=0.05)


@pytest.fixture
async def suite():
    server = grpc.aio.server()
    training, gpu, deploy = TrainingDouble(), GpuDouble(), DeployDouble()
    add_TrainingServiceServicer_to_server(training, server)
    add_GpuServiceServicer_to_server(gpu, server)
    add_DeployServiceServicer_to_server(deploy, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield Suite(f"127.0.0.1:{port}", training, gpu, deploy)
    await server.stop(None)


@pytest.fixture
async def client(suite):
    async with Client(suite.address, timeout=5, retry=SOON) as client:
        yield client
