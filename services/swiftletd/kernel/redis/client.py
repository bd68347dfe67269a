"""Connections to Redis.

Two kinds. Commands never retry by themselves: a reply that got lost would make the client write
twice; who retries does it knowingly, with a script that is idempotent. Readers block, so they have no
socket timeout (redis-py's default of 5 s would cut every blocking read) and a connection of their own.
"""

from __future__ import annotations

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

UNREACHABLE = (RedisConnectionError, RedisTimeoutError, OSError)
__all__ = [
    "UNREACHABLE",
    "Redis",
    "RedisConnectionError",
    "RedisError",
    "RedisTimeoutError",
    "connect",
    "connect_blocking",
]


def connect(url: str, *, max_connections: int = 32, timeout: float = 5.0) -> Redis:
    """A client for commands; waits for a free connection instead of failing at the limit."""
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=max_connections,
        timeout=timeout,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        protocol=3,
        legacy_responses=False,
    )
    return Redis.from_pool(pool)


def connect_blocking(url: str) -> Redis:
    """A client for blocking reads: one connection, no timeout on the socket."""
    return Redis.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=5.0,
        health_check_interval=0,
        retry=Retry(NoBackoff(), 0),
        protocol=3,
        legacy_responses=False,
    )
