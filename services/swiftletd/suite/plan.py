"""What a suite consists of: made by `up` from the settings, carried out by the supervisor.

The two are different programs, so that the one that stays needs neither pydantic nor grpc in memory.
The environment isn't part of it: the supervisor hands its own on.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """How to find out whether a program answers.

    `address` is a path for `redis`, a gRPC target for `grpc`, an http URL for `http`.
    """

    kind: Literal["redis", "grpc", "http"]
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One command of the suite."""

    name: str
    argv: tuple[str, ...]
    ready: Readiness
    after: tuple[str, ...] = ()  # those that must be healthy before it is started
    grace: float = 10.0  # seconds between SIGTERM and SIGKILL

    @property
    def listens(self) -> str:
        """Where it can be reached, for people."""
        return self.ready.address


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole suite, in the order in which it is started."""

    home: str
    logs: str
    address: str  # of the gateway
    programs: tuple[Program, ...]

    def log(self, name: str) -> Path:
        """The file that a program's output goes to."""
        return Path(self.logs) / f"{name}.log"

    def write(self, path: Path) -> None:
        """Save it for the supervisor."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self), indent=1))

    @classmethod
    def read(cls, path: Path) -> Plan:
        """Load what `write` saved."""
        return msgspec.json.decode(path.read_bytes(), type=cls)
