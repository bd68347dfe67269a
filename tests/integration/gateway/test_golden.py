"""What comes out of a real Envoy is the golden JSON: each RPC full and empty, each refusal."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from google.protobuf import message_factory
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer

from integration.gateway.conftest import start_gateway, stop_gateway, wait_for
from support.golden import FOLDER, filled
from support.refusals import REFUSALS
from swiftlet_gateway.rpcs import HTTP_BODY, SERVICES, Binding, Rpc, rpcs
from swiftletd.kernel.errors import ServiceError
from swiftletd.kernel.rpc.status import to_status

RPCS = {rpc.path: rpc for rpc in rpcs()}


class Everything(grpc.GenericRpcHandler):
    """All RPCs of all services: each answers with one message, full or empty, or is refused."""

    def __init__(self) -> None:
        self.full = True
        self.refusal: ServiceError | None = None

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        rpc = RPCS.get(details.method)
        if rpc is None:
            return None
        request = message_factory.GetMessageClass(rpc.request)
        make = grpc.unary_stream_rpc_method_handler if rpc.streaming else grpc.unary_unary_rpc_method_handler
        return make(self._stream(rpc) if rpc.streaming else self._unary(rpc), request.FromString, _bytes)

    def _answer(self, rpc: Rpc) -> Message:
        if self.full and rpc.response.full_name != HTTP_BODY:
            return filled(rpc.response)
        empty: Message = message_factory.GetMessageClass(rpc.response)()
        return empty

    def _unary(self, rpc: Rpc) -> Any:
        async def call(request: Message, context: Any) -> Message:
            if self.refusal:
                await context.abort_with_status(to_status(self.refusal))
            return self._answer(rpc)

        return call

    def _stream(self, rpc: Rpc) -> Any:
        async def call(request: Message, context: Any) -> Any:
            yield self._answer(rpc)

        return call


def _bytes(message: Message) -> bytes:
    return message.SerializeToString()


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    handler, ready, end = Everything(), threading.Event(), asyncio.Event()
    socket = tmp_path_factory.mktemp("all") / "s"

    async def serve() -> None:
        handler.loop = asyncio.get_running_loop()
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((handler,))
        health = HealthServicer()
        for service in SERVICES:
            await health.set(service.full_name, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        server.add_insecure_port(f"unix:{socket}")
        await server.start()
        ready.set()
        await end.wait()
        await server.stop(0)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(10)
    handler.socket = socket
    yield handler
    handler.loop.call_soon_threadsafe(end.set)
    thread.join(10)


@pytest.fixture(scope="module")
def api(everything: Everything, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    upstreams = dict.fromkeys(("gpu", "training", "deploy"), (f"unix:{everything.socket}",))
    gateway = start_gateway(tmp_path_factory.mktemp("gateway"), upstreams)
    for service in ("training/health", "training/gpus", "deploy/jobs"):
        wait_for(f"{gateway.url}/api/v1/{service}")
    with httpx.Client(base_url=gateway.url, timeout=10) as client:
        yield client
    stop_gateway(gateway)


def call(api: httpx.Client, binding: Binding) -> httpx.Response:
    """The REST form with nothing in it."""
    body = {"json": {}} if binding.body else {}
    return api.request(binding.verb, binding.path.replace("{job_id}", "a"), **body)


def golden(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.parametrize("rpc", RPCS.values(), ids=lambda rpc: f"{rpc.upstream}/{rpc.name}")
def test_each_form_of_each_rpc_answers_as_written_down(everything: Everything, api: httpx.Client, rpc: Rpc):
    expected = golden(FOLDER / rpc.upstream / f"{rpc.name}.json")
    everything.refusal = None
    for binding in rpc.bindings:
        for kind in ("full", "empty"):
            everything.full = kind == "full"
            reply = call(api, binding)
            assert reply.status_code == expected["status"], reply.text
            if kind in expected:
                text = reply.text.removeprefix("data: ") if rpc.streaming else reply.text
                assert exact(json.loads(text)) == exact(expected[kind])


@pytest.mark.parametrize("reason", REFUSALS)
def test_each_refusal_is_as_written_down(everything: Everything, api: httpx.Client, reason: str):
    everything.refusal = REFUSALS[reason]
    reply = api.get("/api/v1/training/jobs/a")
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == golden(FOLDER / "errors" / f"{reason}.json")


def exact(value: Any) -> Any:
    """The value with its type, for to Python 1 == 1.0 == True."""
    if isinstance(value, dict):
        return {name: exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [exact(inner) for inner in value]
    return (type(value).__name__, value)
