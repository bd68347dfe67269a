"""Settings of the gpu service."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from swiftletd.kernel.settings import SuiteSettings


class QuotaSetting(BaseModel):
    """What a project may hold at one time; no limit where nothing is said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    max_gpus: int | None = Field(default=None, ge=0)
    max_jobs: int | None = Field(default=None, ge=0)


class GpuSettings(SuiteSettings):
    """Read from the environment; the field names in upper case."""

    gpu_memory_threshold: float = Field(default=0.3, ge=0, le=1)
    gpu_memory_free_threshold_gb: float = Field(default=20.0, ge=0, le=1024)
    queue_check_interval: int = Field(default=30, ge=1, le=86_400)
    gpu_inventory: Path | None = None
    gpu_ordering: Literal["fifo", "shortest-job", "shortest-service"] = "fifo"
    gpu_age_step: float = Field(default=86_400.0, gt=0)
    gpu_backfill: bool = True
    gpu_quotas: dict[str, QuotaSetting] = Field(default_factory=dict)
    gpu_fair_share: bool = False
    gpu_fair_share_half_life: float = Field(default=7 * 86_400.0, gt=0)
