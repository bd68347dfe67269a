"""What each project holds, against what it may hold. A share counts as one GPU."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.reason import Code
from swiftletd.gpu.domain.snapshot import Holding


@dataclass(frozen=True, slots=True)
class Excess:
    """A quota that would be passed, and how much of it is used."""

    code: Code
    limit: int
    used: int


class Allowance:
    """Mutable, and private to one pass."""

    def __init__(self, policy: Policy, holdings: Iterable[Holding]) -> None:
        self._policy = policy
        self._gpus: Counter[str] = Counter()
        self._jobs: Counter[str] = Counter()
        for holding in holdings:
            self.take(holding.project, len(holding.lease.shares))

    def take(self, project: str, gpus: int) -> None:
        self._gpus[project] += gpus
        self._jobs[project] += 1

    def exceeded(self, project: str, gpus: int) -> Excess | None:
        """The quota that one more job on so many GPUs would pass; None if it may run."""
        quota = self._policy.quota(project)
        if quota is None:
            return None
        if quota.max_jobs is not None and self._jobs[project] >= quota.max_jobs:
            return Excess(Code.QUOTA_JOBS, quota.max_jobs, self._jobs[project])
        if quota.max_gpus is not None and self._gpus[project] + gpus > quota.max_gpus:
            return Excess(Code.QUOTA_GPUS, quota.max_gpus, self._gpus[project])
        return None
