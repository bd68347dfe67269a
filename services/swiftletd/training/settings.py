"""Settings of the training service."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field

from swiftletd.kernel.settings import SuiteSettings


def _default_trainer() -> Path:
    return Path.cwd() / ".venv-trainer" / "bin" / "python"


class TrainingSettings(SuiteSettings):
    """Read from the environment; the field names in upper case."""

    trainer_python: Path = Field(default_factory=_default_trainer)
    default_training_timeout: float = Field(default=86400.0, ge=0)
    stop_grace_seconds: float = Field(default=20.0, ge=0, le=3600)
    output_roots: str = ""
    preflight_rows: int = Field(default=100, ge=0, le=100_000)
    preflight: bool = True
    recover_seconds: float = Field(default=60.0, gt=0)
    retry_delay_seconds: float = Field(default=10.0, ge=0, le=300)
    answer_seconds: float = Field(default=2.0, ge=0, le=30)
    disk_limit_gb: float = Field(default=0.0, ge=0)
    disk_refuse: bool = True
    disk_reserve_gb: float = Field(default=1.0, ge=0)
    disk_high_water: float = Field(default=0.9, ge=0.1, le=1)
    disk_check_seconds: float = Field(default=60.0, gt=0)

    def roots(self) -> tuple[Path, ...]:
        """Directories under which results may be written: OUTPUT_ROOTS, separated by colons."""
        if self.output_roots:
            return tuple(Path(part).expanduser() for part in self.output_roots.split(os.pathsep) if part)
        return (self.swiftlet_home, self.work_dir, Path.home())
