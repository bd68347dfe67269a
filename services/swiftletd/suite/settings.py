"""What `up` reads beyond the settings that all services share."""

from __future__ import annotations

import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from swiftletd.kernel.settings import SuiteSettings

SERVICES = ("gpu", "training", "deploy")
TRAINER = Path(".venv-trainer") / "bin" / "python"


def _an_address(value: str) -> str:
    if value == "localhost":
        return "127.0.0.1"
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError("must be an IP address, as 127.0.0.1, or 0.0.0.0 for all networks") from None


def _an_executable(value: Path | None) -> Path | None:
    if value is not None and not value.is_file():
        raise ValueError("is not a file; it must be the Python of the environment that ms-swift is in")
    return value


class UpSettings(SuiteSettings):
    """The whole suite's."""

    app_host: Annotated[str, AfterValidator(_an_address)] = "127.0.0.1"
    app_port: int = Field(default=8000, ge=1, le=65535)
    redis_maxmemory: str = Field(default="0", pattern=r"^(?i:[0-9]+([kmg]b)?)$")
    api_prefix: str = Field(default="/api/v1", pattern=r"^(/[A-Za-z0-9._~-]+)+$")
    trainer_python: Annotated[Path | None, AfterValidator(_an_executable)] = None

    @property
    def home(self) -> Path:
        """The home, absolute."""
        return self.swiftlet_home.expanduser().absolute()

    @property
    def logs(self) -> Path:
        """Where the log files are."""
        return (self.log_dir or self.home / "logs").expanduser().absolute()

    @property
    def authority(self) -> str:
        """Host and port at which this machine reaches the gateway."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.app_host, self.app_host)
        return f"[{host}]:{self.app_port}" if ":" in host else f"{host}:{self.app_port}"

    def trainer(self) -> Path | None:
        """The Python of the trainer environment: as set, or in .venv-trainer beside ours or where we work."""
        places = (Path(sys.prefix).parent / TRAINER, self.work_dir.absolute() / TRAINER)
        return self.trainer_python or next((place for place in places if place.is_file()), None)
