"""What a gateway can be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from ipaddress import ip_address
from pathlib import Path

from swiftlet_gateway.rpcs import API_PREFIX

WILDCARDS = {"0.0.0.0", "::"}  # all addresses of the machine
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
SERVICES = ("gpu", "training", "deploy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the gateway is to be built.

    `out` is the folder that its files are written to. `upstreams` has the addresses of "gpu", "training" and
    "deploy", each "unix:/path" or "host:port". `host_names` are further names and addresses under which
    clients may reach the gateway, "*" for any. Times are in seconds.
    """

    out: Path
    upstreams: Mapping[str, tuple[str, ...]]
    host: str = "127.0.0.1"
    port: int = 8000
    api_prefix: str = API_PREFIX
    host_names: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    access_log: Path | None = None
    request_timeout: float = 35.0  # above that of the services, whose answer says more
    idle_timeout: float = 600.0
    max_body_bytes: int = 1024 * 1024
    max_answer_bytes: int = 32 * 1024 * 1024
    max_connections: int = 1024
    version: str = field(default_factory=lambda: installed_version())

    def __post_init__(self) -> None:
        missing = [name for name in SERVICES if not self.upstreams.get(name)]
        if missing:
            raise ValueError(f"upstreams: no address of {', '.join(missing)}")
        if not 0 < self.port < 65536:
            raise ValueError(f"port: must be from 1 to 65535, got {self.port}")

    @property
    def domains(self) -> tuple[str, ...]:
        """Host names that a request may be for. A page of a stranger can give its own name our address."""
        own = () if self.host in WILDCARDS else (as_domain(self.host),)
        names = (*LOOPBACK, *own, *(as_domain(name) for name in self.host_names))
        return tuple(dict.fromkeys(names))


def as_domain(name: str) -> str:
    """A name or address as it stands in a Host header: IPv6 in brackets."""
    try:
        return f"[{name}]" if ip_address(name).version == 6 else name
    except ValueError:
        return name.lower()


def installed_version() -> str:
    """Version of the suite."""
    try:
        return version("swiftletd")
    except PackageNotFoundError:
        return "0"
