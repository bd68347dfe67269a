"""What a scheduling pass looks at: devices, who holds them, and who used them lately."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from swiftletd.gpu.domain.device import Device
from swiftletd.gpu.domain.durations import Grounds
from swiftletd.gpu.domain.entry import EntryKind
from swiftletd.gpu.domain.lease import Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """A live lease with what the scheduler needs to know of its job.

    `ends_p50` and `ends_p90` are times in seconds since the epoch, which rest on `grounds`; all None where
    the end is not known: a training is taken to run for `Policy.assumed_s` then, a deployment for ever.
    """

    lease: Lease
    job_id: str
    kind: EntryKind = EntryKind.TRAINING
    project: str = ""
    ends_p50: float | None = None
    ends_p90: float | None = None
    grounds: Grounds | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Decayed use of a project: `gpu_seconds` as of the time `at`."""

    gpu_seconds: float
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One consistent view. `processing` is False while an operator has stopped the queue."""

    devices: tuple[Device, ...]
    holdings: tuple[Holding, ...] = ()
    usage: Mapping[str, Usage] = field(default_factory=dict)
    processing: bool = True
