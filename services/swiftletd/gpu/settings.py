"""Settings of the gpu service."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from swiftletd.kernel.settings import SuiteSettings


class GpuSettings(SuiteSettings):
    """Read from the environment; the field names in upper case."""

    gpu_memory_threshold: float = Field(default=0.3, ge=0, le=1)
    gpu_memory_free_threshold_gb: float = Field(default=20.0, ge=0, le=1024)
    queue_check_interval: int = Field(default=30, ge=1, le=86_400)
    gpu_inventory: Path | None = None
