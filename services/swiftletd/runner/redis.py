"""The few words of Redis that a runner speaks, over hiredis and one socket.

redis-py would be the library for it, but importing it costs about 20 MB of memory, half of what a runner may
use.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

CONNECT_SECONDS = 3.0
REPLY_SECONDS = 5.0
_READ_BYTES = 64 * 1024

Command = tuple[str | int | float | bytes | memoryview, ...]


# No memory, or no disk: nothing was done, and what was done before stays.
_FULL = ("OOM", "MISCONF", "EXECABORT")


class RedisError(Exception):
    """Redis refused a command, or does not speak its protocol."""

    @property
    def full(self) -> bool:
        """It has no room for a change; it has forgotten nothing."""
        return str(self).startswith(_FULL)


class AddressError(ValueError):
    """The URL names no Redis. The message does not repeat it: it may hold a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where Redis is. path is a Unix socket; without it, host and port."""

    path: str = ""
    host: str = ""
    port: int = 6379
    database: int = 0
    tls: bool = False
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return self.path or f"{self.host}:{self.port}"


def parse_address(url: str) -> Address:
    """Read `unix://[:password@]/path?db=0` or `redis[s]://[user:password@]host[:port][/0]`.

    Raises AddressError.
    """
    try:
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        database = query.get("db") or (parts.path.strip("/") if parts.scheme != "unix" else "")
        common: dict[str, Any] = {
            "database": int(database or 0),
            "username": unquote(parts.username or "") or query.get("username", ""),
            "password": unquote(parts.password or "") or query.get("password", ""),
        }
        if parts.scheme == "unix" and parts.path:
            return Address(path=unquote(parts.path), **common)
        if parts.scheme in {"redis", "rediss"} and parts.hostname:
            return Address(
                host=parts.hostname, port=parts.port or 6379, tls=parts.scheme == "rediss", **common
            )
    except ValueError:
        pass
    raise AddressError("redis_url must be unix:///path?db=0 or redis://host:port/0")


class Connection:
    """One connection. After any exception but RedisError it is of no use any more: close it."""

    def __init__(self, address: Address) -> None:
        """Connect, authenticate, choose the database. Raises OSError or RedisError."""
        self._reader = hiredis.Reader(encoding="utf-8", errors="replace")
        self._socket = _connect(address)
        try:
            check(self.run(_greeting(address)))
        except BaseException:
            self.close()
            raise

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """Send the commands at once and return their replies; a refused command has a RedisError for its
        reply.

        Raises OSError if Redis is away, or slower than REPLY_SECONDS; then it is not known which commands
        were done.
        """
        # The stub of hiredis knows commands of one word only.
        self._socket.sendall(b"".join(hiredis.pack_command(command) for command in commands))  # type: ignore[arg-type]
        replies = [self._reply() for _ in commands]
        return [
            RedisError(str(reply)) if isinstance(reply, hiredis.ReplyError) else reply for reply in replies
        ]

    def write(self, commands: Sequence[Command]) -> None:
        """All of the commands or none, in one transaction: a Redis that runs full refuses no part of them.

        Raises RedisError, then nothing was done, or OSError as `run`.
        """
        *queued, done = self.run([("MULTI",), *commands, ("EXEC",)])
        check([*queued, done])
        check([RedisError(str(reply)) for reply in done if isinstance(reply, hiredis.ReplyError)])

    def close(self) -> None:
        self._socket.close()

    def _reply(self) -> Any:
        while (reply := self._parsed()) is False:
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise ConnectionResetError("Redis closed the connection")
            self._reader.feed(data)
        return reply

    def _parsed(self) -> Any:
        try:
            return self._reader.gets()
        except hiredis.HiredisError as error:
            raise ConnectionResetError(f"not the protocol of Redis: {error}") from error


def check(replies: Sequence[Any]) -> None:
    """Raise the first refusal among the replies."""
    for reply in replies:
        if isinstance(reply, RedisError):
            raise reply


def _connect(address: Address) -> socket.socket:
    if address.path:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.settimeout(CONNECT_SECONDS)
            connection.connect(address.path)
        except BaseException:
            connection.close()
            raise
    else:
        connection = socket.create_connection((address.host, address.port), CONNECT_SECONDS)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.settimeout(REPLY_SECONDS)
    return _with_tls(connection, address.host) if address.tls else connection


def _with_tls(connection: socket.socket, host: str) -> socket.socket:
    import ssl  # 5 MB that only those pay who use it

    return ssl.create_default_context().wrap_socket(connection, server_hostname=host)


def _greeting(address: Address) -> list[Command]:
    commands: list[Command] = []
    if address.password:
        commands.append(("AUTH", *filter(None, (address.username, address.password))))
    if address.database:
        commands.append(("SELECT", address.database))
    return commands or [("PING",)]
