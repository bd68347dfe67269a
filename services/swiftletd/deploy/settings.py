"""Settings of the deploy service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator

from swiftletd.kernel.settings import SuiteSettings


def _default_trainer() -> Path:
    return Path.cwd() / ".venv-trainer" / "bin" / "python"


class DeploySettings(SuiteSettings):
    """Read from the environment; the field names in upper case."""

    trainer_python: Path = Field(default_factory=_default_trainer)
    deploy_ports: str = "8001-8999"
    deploy_start_timeout: float = Field(default=1800.0, gt=0)
    deploy_probe_seconds: float = Field(default=0.5, gt=0)
    stop_grace_seconds: float = Field(default=20.0, ge=0, le=3600)
    recover_seconds: float = Field(default=60.0, gt=0)
    answer_seconds: float = Field(default=2.0, ge=0, le=30)

    @field_validator("deploy_ports")
    @classmethod
    def _is_a_range(cls, text: str) -> str:
        first, _, last = text.partition("-")
        if not (first.isdecimal() and last.isdecimal() and 1024 <= int(first) <= int(last) <= 65535):
            raise ValueError("must be two ports like 8001-8999, from 1024 to 65535")
        return text

    def ports(self) -> range:
        """The ports that model servers may have."""
        first, _, last = self.deploy_ports.partition("-")
        return range(int(first), int(last) + 1)

    def routes_file(self) -> Path:
        """Where the gateway looks for model servers."""
        return self.swiftlet_home.absolute() / "run" / "gateway" / "model_servers.json"
