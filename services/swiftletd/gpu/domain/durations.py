"""How long a job will run, from the best that is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Source(Enum):
    """Where an estimate comes from, best first."""

    PROGRESS = "progress"
    HISTORY = "history"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds: half of such jobs end within `p50_s`, nine in ten within `p90_s`."""

    p50_s: float
    p90_s: float
    source: Source
