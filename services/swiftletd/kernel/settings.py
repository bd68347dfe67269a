"""Settings that all services share, read from the environment and `env/.env.<ENVIRONMENT>`.

The names are the contract's; the supervisor passes them on to what it starts.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MAX_SOCKET_PATH = 100  # the kernel's limit is 107 bytes, gRPC appends to it


class SuiteSettings(BaseSettings):
    """What every process of the suite needs to know."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    environment: Literal["dev", "test", "staging", "prod"] = "dev"
    swiftlet_home: Path = Field(default_factory=lambda: Path.home() / ".swiftlet")
    work_dir: Path = Field(default_factory=Path.cwd)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_dir: Path | None = None

    redis_url: str = ""
    redis_host: str = ""
    redis_port: int = Field(default=6379, ge=1, le=65535)
    redis_db: int = Field(default=0, ge=0)
    redis_password: str = Field(default="", repr=False)

    gpu_listen: str = ""
    gpu_address: str = ""
    training_listen: str = ""
    training_address: str = ""
    deploy_listen: str = ""
    deploy_address: str = ""

    grpc_reflection: bool = True
    drain_seconds: float = Field(default=5.0, ge=0, le=600)
    request_timeout: float = Field(default=30.0, gt=0, le=600)
    event_retention_days: float = Field(default=7.0, gt=0, le=3650)
    retention_days: float = Field(default=0.0, ge=0, le=36500)
    retention_gb: float = Field(default=0.0, ge=0)
    retention_check_seconds: float = Field(default=600.0, gt=0)

    @model_validator(mode="after")
    def _home_fits_a_socket(self) -> Self:
        path = self.socket("training")
        if len(path) > MAX_SOCKET_PATH:
            raise ValueError(
                f"SWIFTLET_HOME is too long: {path!r} must fit into {MAX_SOCKET_PATH} characters"
            )
        return self

    def socket(self, name: str) -> str:
        """Path of the socket of a process in this home."""
        return str(self.swiftlet_home.absolute() / "run" / f"{name}.sock")

    def listen(self, service: str) -> str:
        """Where `service` listens, as gRPC writes it."""
        return getattr(self, f"{service}_listen") or f"unix:{self.socket(service)}"

    def address(self, service: str) -> str:
        """Where others find `service`, as gRPC writes it."""
        return getattr(self, f"{service}_address") or self.listen(service)

    def redis(self) -> str:
        """URL of the Redis to use; the embedded one where none is named."""
        if self.redis_url:
            return self.redis_url
        if self.redis_host:
            login = f":{quote(self.redis_password, safe='')}@" if self.redis_password else ""
            return f"redis://{login}{self.redis_host}:{self.redis_port}/{self.redis_db}"
        return f"unix://{self.socket('redis')}?db={self.redis_db}"

    def runs(self) -> Path:
        """Where the run directories are."""
        return self.swiftlet_home.absolute() / "runs"


S = TypeVar("S", bound=SuiteSettings)


def load(kind: type[S], **overrides: Any) -> S:
    """Read the settings, or end the program with a message that names each variable at fault."""
    env_file = Path("env") / f".env.{os.environ.get('ENVIRONMENT', 'dev')}"
    try:
        return kind(_env_file=env_file if env_file.is_file() else None, **overrides)
    except ValidationError as error:
        sys.exit("\n".join(_complaint(e) for e in error.errors()))


def _complaint(error: Any) -> str:
    name = "_".join(str(part) for part in error["loc"]).upper()
    value = f" (it is {error['input']!r})" if name and "PASSWORD" not in name else ""
    return f"{name or 'settings'}: {error['msg']}{value}"
