"""The rules that a scheduling pass follows, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from types import MappingProxyType

DAY_S = 86_400.0
FOREVER_S = 1e10


class Ordering(Enum):
    """What comes first among equal priorities."""

    FIFO = "fifo"
    SHORTEST_JOB = "shortest-job"
    SHORTEST_SERVICE = "shortest-service"


@dataclass(frozen=True, slots=True)
class Quota:
    """What one project may hold at one time; None for no limit."""

    max_gpus: int | None = None
    max_jobs: int | None = None


@dataclass(frozen=True, slots=True)
class FairShare:
    """Projects that used more than their even part lately go behind, by at most `weight_s` seconds.

    `half_life_s` is the time after which use counts half.
    """

    weight_s: float = DAY_S
    half_life_s: float = 7 * DAY_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Every entry is ranked by its virtual time of arrival; the smallest goes first.

    age_step_s          one level of priority is worth so many seconds of waiting. Nothing starves:
                        an entry is overtaken only by those who came at most ten steps after it.
    stretch             for the shortest-first orderings: seconds of waiting that one second of an
                        entry's own length is worth. Larger is closer to pure shortest-first.
    max_delay_s         and the most that length can cost: among equal priorities nobody is overtaken
                        by those who came so much later.
    spread              a gang may span machines; off where the launcher starts jobs on one machine only.
    backfill            smaller entries may use the gap in front of the reservation of the head.
    backfill_depth      how many entries of one group are looked at for the gap, per pass.
    assumed_s           length of a training whose length nobody knows and that has no time limit.
    limit_part          which part of its time limit a training likely takes of which nothing else is known,
    limit_jobs          as so many jobs did; 0 if too few are known to tell.
    max_shares          how many leases may share one device.
    share_reserve_mib   memory per device that is never given to shares (the CUDA contexts).
    stranger_fraction   a device on which strangers hold more of the memory than this is not free,
    stranger_free_mib   nor one where they leave less than this (on a smaller one: nine tenths).
    """

    ordering: Ordering = Ordering.FIFO
    age_step_s: float = DAY_S
    stretch: float = FOREVER_S
    max_delay_s: float = inf
    spread: bool = True
    backfill: bool = True
    backfill_depth: int = 64
    assumed_s: float = DAY_S
    limit_part: float = 1.0
    limit_jobs: int = 0
    max_shares: int = 8
    share_reserve_mib: int = 0
    stranger_fraction: float = 0.3
    stranger_free_mib: int = 20 * 1024
    quotas: Mapping[str, Quota] = field(default_factory=dict)
    default_quota: Quota | None = None
    fair_share: FairShare | None = None

    def quota(self, project: str) -> Quota | None:
        return self.quotas.get(project, self.default_quota)


POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        "strict-fifo": Policy(backfill=False),
        "priority-fifo": Policy(),
        "shortest-job": Policy(
            ordering=Ordering.SHORTEST_JOB, stretch=64.0, max_delay_s=240 * DAY_S, age_step_s=30 * DAY_S
        ),
        "shortest-service": Policy(
            ordering=Ordering.SHORTEST_SERVICE, stretch=4.0, max_delay_s=240 * DAY_S, age_step_s=30 * DAY_S
        ),
        "shortest-service-unbounded": Policy(ordering=Ordering.SHORTEST_SERVICE, age_step_s=FOREVER_S),
    }
)
