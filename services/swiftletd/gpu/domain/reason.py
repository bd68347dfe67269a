"""Why an entry still waits: a code, the numbers, and one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Code(Enum):
    """Stable words for the API.

    STOPPED           an operator has stopped the queue.
    HELD              the entry is on hold.
    NOT_BEFORE        its earliest start has not come.
    NO_SUCH_DEVICE    no device here matches it, busy or not.
    TOO_FEW_DEVICES   matching devices exist, but never enough of them (on one machine).
    UNHEALTHY         enough exist, but some are out of service.
    QUOTA_GPUS        its project would hold more GPUs than it may.
    QUOTA_JOBS        its project runs as many jobs as it may.
    STRANGER          the devices it needs are used by processes that are not ours.
    BUSY              the devices it needs are held by other jobs.
    FRAGMENTED        enough are free, but not on one machine.
    RESERVED          it would fit now, but would delay the entry that is served next.
    BEHIND            it would fit now, but its turn has not come.
    """

    STOPPED = "stopped"
    HELD = "held"
    NOT_BEFORE = "not_before"
    NO_SUCH_DEVICE = "no_such_device"
    TOO_FEW_DEVICES = "too_few_devices"
    UNHEALTHY = "unhealthy"
    QUOTA_GPUS = "quota_gpus"
    QUOTA_JOBS = "quota_jobs"
    STRANGER = "stranger"
    BUSY = "busy"
    FRAGMENTED = "fragmented"
    RESERVED = "reserved"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True)
class Blocker:
    """A job whose end frees `frees` of the wanted devices; `ends_in_s` is None where nobody knows."""

    job_id: str
    frees: int
    ends_in_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """The numbers are zero or empty where they do not apply to the code."""

    code: Code
    gpus: int = 0
    memory_mib: int = 0
    gpu_name: str = ""
    same_machine: bool = False
    free: int = 0
    exist: int = 0
    machine: str = ""
    limit: int = 0
    used: int = 0
    until: float = 0.0
    wait_s: float | None = None
    ahead: str = ""
    busy: str = ""
    blockers: tuple[Blocker, ...] = ()

    def sentence(self) -> str:
        """One English sentence with the numbers in it."""
        raise NotImplementedError
