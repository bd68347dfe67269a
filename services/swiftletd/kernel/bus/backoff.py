"""Waiting longer after each failure, with jitter, so that a Redis that comes back isn't stormed."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """Delays in seconds: each up to twice the one before, none above `most`."""

    least: float = 0.05
    most: float = 2.0
    _next: float = 0.0

    def delay(self) -> float:
        """How long to wait now."""
        self._next = min(self.most, max(self.least, self._next * 2))
        return self._next * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret

    def reset(self) -> None:
        """Something worked."""
        self._next = 0.0
