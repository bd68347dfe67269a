"""Those who ask: the least that a client can be, so that the client isn't what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import grpc.aio
import uvloop

from support.suite import API
from swiftlet.training.v1 import training_service_pb2 as pb
from swiftlet.training.v1 import training_service_pb2_grpc as rpc

Ask = Callable[[], Awaitable[object]]
Connect = Callable[[int], AbstractAsyncContextManager[Ask]]
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True)
class Figures:
    """Requests per second, and milliseconds."""

    count: int
    rate: float
    p50: float
    p99: float


def rest(method: str, path: str, body: bytes = b"") -> Connect:
    """Connections that send this request of HTTP/1.1 again and again."""
    head = f"{method} {API}{path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
    request = f"{head}Content-Type: application/json\r\n\r\n".encode() + body

    @asynccontextmanager
    async def connect(port: int):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def ask() -> bytes:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            answer = await reader.readexactly(int(fields[b"content-length"]))
            if int(head[9:12]) >= 300:
                raise RuntimeError(f"{method} {path}: {answer.decode()}")
            return answer

        yield ask
        writer.close()

    return connect


def grpc_call(name: str, request: object) -> Connect:
    """Connections that make this call of the training service again and again, through the gateway."""

    @asynccontextmanager
    async def connect(port: int):
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OWN_CONNECTION) as channel:
            call = getattr(rpc.TrainingServiceStub(channel), name)

            async def ask() -> object:
                return await call(request)

            yield ask

    return connect


def cases(job_id: str, body: bytes, create: pb.CreateTrainingJobRequest) -> Mapping[str, Sequence[Connect]]:
    """Every call that is measured, over REST and over gRPC."""
    jobs = "/training/jobs"
    return {
        "create": (rest("POST", jobs, body), grpc_call("CreateTrainingJob", create)),
        "get": (
            rest("GET", f"{jobs}/{job_id}"),
            grpc_call("GetTrainingJob", pb.GetTrainingJobRequest(job_id=job_id)),
        ),
        "list": (
            rest("GET", f"{jobs}?page=1&size=10"),
            grpc_call("ListTrainingJobs", pb.ListTrainingJobsRequest(page=1, size=10)),
        ),
        "progress": (
            rest("GET", f"{jobs}/{job_id}/progress"),
            grpc_call("GetTrainingJobProgress", pb.GetTrainingJobProgressRequest(job_id=job_id)),
        ),
        "logs": (
            rest("GET", f"{jobs}/{job_id}/logs?limit=100"),
            grpc_call("ListTrainingJobLogs", pb.ListTrainingJobLogsRequest(job_id=job_id, limit=100)),
        ),
    }


def load(port: int, connect: Connect, connections: int, seconds: float) -> Figures:
    """Ask from so many connections, one request at a time on each."""
    return uvloop.run(_load(port, connect, connections, seconds))


async def _load(port: int, connect: Connect, connections: int, seconds: float) -> Figures:
    took: list[float] = []
    begin = asyncio.Barrier(connections)

    async def one() -> None:
        async with connect(port) as ask:
            await ask()
            await begin.wait()
            until = time.perf_counter() + seconds
            while (began := time.perf_counter()) < until:
                await ask()
                took.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    elapsed = min(time.perf_counter() - began, seconds + max(took, default=0.0))
    took.sort()
    return Figures(
        len(took), len(took) / elapsed, took[len(took) // 2] * 1000, took[int(len(took) * 0.99)] * 1000
    )


def singles(port: int, connect: Connect, count: int) -> list[float]:
    """Milliseconds of so many requests, one after the other on one connection."""
    return uvloop.run(_singles(port, connect, count))


async def _singles(port: int, connect: Connect, count: int) -> list[float]:
    took = []
    async with connect(port) as ask:
        for _ in range(count):
            began = time.perf_counter()
            await ask()
            took.append((time.perf_counter() - began) * 1000)
    return took
