"""Whether a program of the suite answers.

Redis and the gateway are asked over a plain socket. A gRPC service is asked by
`python -m swiftletd.suite.ready TARGET`, a process that ends when the service serves: so the
supervisor, which stays, needs no grpc in its memory.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

from swiftletd.suite.plan import Readiness

PATIENCE = 0.5  # seconds for a connection and its answer
WATCH_SECONDS = 30.0  # then the next watch begins: none lives on for long when the supervisor is killed
GRPC_OPTIONS = [("grpc.initial_reconnect_backoff_ms", 30), ("grpc.max_reconnect_backoff_ms", 300)]


def redis_answers(path: str) -> bool:
    """PING over the Unix socket."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(path)
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def http_answers(url: str) -> bool:
    """A GET that is answered with 200."""
    parts = urlsplit(url)
    request = f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    try:
        address = (parts.hostname, parts.port or 80)
        with socket.create_connection(address, PATIENCE) as connection:
            connection.sendall(request.encode())
            return connection.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def grpc_serves(target: str, seconds: float) -> bool:
    """Whether the health service says SERVING within so many seconds."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    request = health_pb2.HealthCheckRequest(service="")
    with grpc.insecure_channel(target, options=GRPC_OPTIONS) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        changes = stub.Watch(request, timeout=seconds, wait_for_ready=True)  # type: ignore[attr-defined]
        try:
            return any(change.status == health_pb2.HealthCheckResponse.SERVING for change in changes)
        except grpc.RpcError:
            return False


class GrpcWatch:
    """Waits in a process of its own for a service to serve; to be asked again and again."""

    def __init__(self, target: str) -> None:
        self._argv = [sys.executable, "-P", "-m", "swiftletd.suite.ready", target]
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self) -> bool:
        if self._process is None:
            self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        code = self._process.poll()
        if code is not None:
            self._process = None
        return code == 0

    def close(self) -> None:
        """Don't wait any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def check_for(readiness: Readiness) -> Callable[[], bool]:
    """What the supervisor calls while a program starts."""
    match readiness.kind:
        case "redis":
            return lambda: redis_answers(readiness.address)
        case "http":
            return lambda: http_answers(readiness.address)
        case "grpc":
            return GrpcWatch(readiness.address)


if __name__ == "__main__":
    sys.exit(0 if grpc_serves(sys.argv[1], WATCH_SECONDS) else 1)
