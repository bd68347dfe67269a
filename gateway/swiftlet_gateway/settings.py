"""The environment variables of the gateway. Those that the services read too mean the same here."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated

import psutil
from pydantic import BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from swiftlet_gateway.options import WILDCARDS, Options


def _split(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class GatewaySettings(BaseSettings):
    """What `python -m swiftlet_gateway` reads. Lists are separated by commas."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    swiftlet_home: Path = Field(default_factory=lambda: Path.home() / ".swiftlet")
    app_host: str = "127.0.0.1"
    app_port: int = Field(default=8000, ge=1, le=65535)
    api_prefix: str = Field(default="/api/v1", pattern=r"^(/[A-Za-z0-9._~-]+)+$")
    gateway_allowed_hosts: Words = ()
    cors_allow_origins: Words = ()
    gateway_access_log: Path | None = None
    gateway_workers: int = Field(default=2, ge=1, le=64)
    gateway_max_connections: int = Field(default=1024, ge=1, le=100_000)

    gpu_listen: str = ""
    gpu_address: str = ""
    training_listen: str = ""
    training_address: str = ""
    deploy_listen: str = ""
    deploy_address: str = ""

    def options(self, out: Path | None = None) -> Options:
        """As the builder of the configuration wants it. Raises ValueError with what doesn't fit."""
        run = self.swiftlet_home.expanduser().absolute() / "run"
        host = "127.0.0.1" if self.app_host == "localhost" else self.app_host
        local = names_of_this_machine() if host in WILDCARDS else ()
        return Options(
            out=(out or run / "gateway").absolute(),
            host=host,
            port=self.app_port,
            api_prefix=self.api_prefix,
            upstreams={name: self._upstream(name, run) for name in ("gpu", "training", "deploy")},
            host_names=(*local, *self.gateway_allowed_hosts),
            cors_origins=self.cors_allow_origins,
            access_log=self.gateway_access_log,
            max_connections=self.gateway_max_connections,
        )

    def _upstream(self, name: str, run: Path) -> tuple[str, ...]:
        named = getattr(self, f"{name}_address") or getattr(self, f"{name}_listen")
        return tuple(named.split(",")) if named else (f"unix:{run / name}.sock",)


def names_of_this_machine() -> tuple[str, ...]:
    """Its names and addresses, for a gateway that was opened to the network on purpose."""
    found = [socket.gethostname(), socket.getfqdn()]
    for addresses in psutil.net_if_addrs().values():
        inet = (a.address for a in addresses if a.family in {socket.AF_INET, socket.AF_INET6})
        found += [address.partition("%")[0] for address in inet]
    return tuple(dict.fromkeys(found))


def load() -> GatewaySettings:
    """Read the settings, or end the program with a message that names each variable at fault."""
    env_file = Path("env") / f".env.{os.environ.get('ENVIRONMENT', 'dev')}"
    try:
        return GatewaySettings(_env_file=env_file if env_file.is_file() else None)
    except ValidationError as error:
        sys.exit("\n".join(f"{'_'.join(map(str, e['loc'])).upper()}: {e['msg']}" for e in error.errors()))
