"""Where the suite is and how patient a client is."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from swiftlet.deploy.v1 import deploy_service_pb2
from swiftlet.gpu.v1 import gpu_service_pb2
from swiftlet.training.v1 import training_service_pb2

DEFAULT_ADDRESS = "127.0.0.1:8000"
ADDRESS_VARIABLE = "SWIFTLET_ADDRESS"

# Servers allow a ping every 20 s; a connection that is dead is noticed within 40 s.
_KEEPALIVE = (("grpc.keepalive_time_ms", 30_000), ("grpc.keepalive_timeout_ms", 10_000))
# A suite that restarts is back within seconds, so a lost connection is tried again soon.
_RECONNECT = (
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How often a client tries again by itself. It does so only where nothing was done or lost."""

    attempts: int = 4
    """Tries of a call that the server refuses as UNAVAILABLE, the first one included; at most 5."""
    first_delay: float = 0.2
    """Seconds before the second try; each further delay is twice as long, and each is jittered."""
    longest_delay: float = 5.0
    """Seconds that a delay can grow to."""
    give_up_after: float = 300.0
    """Seconds for which a broken stream is resumed in vain before it raises."""

    @classmethod
    def off(cls) -> Self:
        """Never try again: every error reaches the caller."""
        return cls(attempts=1, give_up_after=0.0)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the gateway listens: `host:port`, or a URL with http or https."""

    target: str
    secure: bool

    @classmethod
    def parse(cls, text: str | None = None) -> Address:
        """Read an address; without one, SWIFTLET_ADDRESS or 127.0.0.1:8000.

        Raises ValueError if it is not one.
        """
        text = text or os.environ.get(ADDRESS_VARIABLE) or DEFAULT_ADDRESS
        url = urlsplit(text if "://" in text else f"http://{text}")
        host = f"[{url.hostname}]" if ":" in (url.hostname or "") else url.hostname
        if url.scheme not in {"http", "https"} or not host or url.path.strip("/"):
            raise ValueError(f"{text!r} is not an address: write host:port, as in {DEFAULT_ADDRESS}.")
        secure = url.scheme == "https"
        return cls(f"{host}:{url.port or (443 if secure else 8000)}", secure)

    @property
    def url(self) -> str:
        """Base of the REST API: `http://127.0.0.1:8000`."""
        return f"{'https' if self.secure else 'http'}://{self.target}"

    @property
    def is_loopback(self) -> bool:
        """True if the suite runs on this machine, so that its paths are ours."""
        host = self.target.rpartition(":")[0].strip("[]")
        try:
            return ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything that a client is told at its start."""

    address: Address
    timeout: float
    retry: Retry

    def channel_options(self) -> Sequence[tuple[str, str | int]]:
        """Arguments of the gRPC channel."""
        retries = ("grpc.service_config", json.dumps(service_config(self.retry)))
        agent = ("grpc.primary_user_agent", f"swiftlet-python/{version('swiftlet')}")
        # A proxy of the office network can't reach this machine.
        proxy = ("grpc.enable_http_proxy", int(not self.address.is_loopback))
        return (*_KEEPALIVE, *_RECONNECT, retries, agent, proxy)


def service_config(retry: Retry) -> dict[str, object]:
    """The service configuration that makes gRPC itself repeat calls refused as UNAVAILABLE."""
    if retry.attempts < 2:
        return {}
    policy = {
        "maxAttempts": min(retry.attempts, 5),
        "initialBackoff": f"{retry.first_delay}s",
        "maxBackoff": f"{retry.longest_delay}s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return {"methodConfig": [{"name": _single_calls(), "retryPolicy": policy}]}


def _single_calls() -> list[dict[str, str]]:
    """All methods that answer once.

    Not the streams: one that gRPC itself may repeat can hang for ever when its connection breaks, and they
    are resumed by their tokens anyway.
    """
    files = (training_service_pb2, gpu_service_pb2, deploy_service_pb2)
    services = [service for file in files for service in file.DESCRIPTOR.services_by_name.values()]
    return [
        {"service": service.full_name, "method": method.name}
        for service in services
        for method in service.methods
        if not method.server_streaming
    ]
