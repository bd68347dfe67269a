"""Why an entry still waits: a code, the numbers, and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from swiftletd.gpu.domain.device import MIB_PER_GIB
from swiftletd.gpu.domain.durations import Grounds

SHOWN = 3


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
    """A job whose end frees `frees` of the wanted devices; `ends_in_s` is None where nobody knows.

    `grounds` is what that time rests on.
    """

    job_id: str
    frees: int
    ends_in_s: float | None = None
    grounds: Grounds | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """`count` devices of the same name and memory."""

    name: str
    memory_mib: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """The numbers are zero or empty where they do not apply to the code.

    gpus, memory_mib, gpu_name, same_machine, shared   what was asked for.
    free       suitable devices that are free now: on `machine`, if the request needs one machine.
    exist      suitable devices, busy or not (FRAGMENTED: free ones on all machines).
    limit, used   of the quota.
    wait_s     until its time comes, until `blockers` have ended, or until `ahead` starts.
    ahead      the job that is served next.
    busy       whose processes are on the devices.
    kinds      what there is instead of what was asked for.
    """

    code: Code
    gpus: int = 0
    memory_mib: int = 0
    gpu_name: str = ""
    same_machine: bool = False
    shared: bool = False
    free: int = 0
    exist: int = 0
    machine: str = ""
    limit: int = 0
    used: int = 0
    wait_s: float | None = None
    ahead: str = ""
    busy: str = ""
    blockers: tuple[Blocker, ...] = ()
    kinds: tuple[Kind, ...] = ()

    def sentence(self) -> str:
        """One English sentence with the numbers in it."""
        return SENTENCES[self.code](self)


def span(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h`, `2 days`: as exact as an estimate deserves."""
    for unit, size in (("days", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= 1.95 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def _needs(reason: Reason) -> str:
    name = f"{reason.gpu_name} " if reason.gpu_name else ""
    plural = "s" if reason.gpus > 1 else ""
    size = f" of {reason.memory_mib / MIB_PER_GIB:.3g} GiB" if reason.memory_mib else ""
    room = " with" + size.removeprefix(" of") + " free" if reason.shared else size
    return f"needs {reason.gpus} {name}GPU{plural}{room}" + (" on one machine" if reason.same_machine else "")


def _frees(blocker: Blocker) -> str:
    return f"job {blocker.job_id}, {_ends(blocker)}, frees {blocker.frees}"


def _ends(blocker: Blocker) -> str:
    if blocker.ends_in_s is None:
        return "whose end is not known"
    why = f" ({blocker.grounds.words()})" if blocker.grounds else ""
    return f"which ends in about {span(blocker.ends_in_s)}{why}"


def _blocked(reason: Reason) -> str:
    shown = [_frees(blocker) for blocker in reason.blockers[:SHOWN]]
    more = len(reason.blockers) - SHOWN
    return "".join(f"; {text}" for text in shown) + (
        f"; and {more} more {'job' if more == 1 else 'jobs'}" if more > 0 else ""
    )


def _are(count: int) -> str:
    return "1 is" if count == 1 else f"{count or 'none'} are"


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"


def _too_few(reason: Reason) -> str:
    few = (
        f"at most {_are(reason.exist)} on one machine"
        if reason.same_machine
        else f"only {reason.exist} exist here"
    )
    return f"{_needs(reason)}; {few}"


def _no_such(reason: Reason) -> str:
    said = [f"{kind.count} {kind.name} of {kind.memory_mib / MIB_PER_GIB:.3g} GiB" for kind in reason.kinds]
    here = f": there {'is' if said[0].startswith('1 ') else 'are'} {', '.join(said[:SHOWN])}" if said else ""
    return f"{_needs(reason)}; no device here is of that kind{here}"


def _busy(reason: Reason) -> str:
    there = f" on {reason.machine}" if reason.machine and reason.same_machine else ""
    return f"{_needs(reason)}; {_are(reason.free)} free{there}{_blocked(reason)}"


def _fragmented(reason: Reason) -> str:
    best = f"at most {reason.free} on {reason.machine}" if reason.machine else "not on one machine"
    return f"{_needs(reason)}; {reason.exist} are free, but {best}{_blocked(reason)}"


def _reserved(reason: Reason) -> str:
    start = "" if reason.wait_s is None else f", which is to start in about {span(reason.wait_s)}"
    return f"would fit now, but would delay job {reason.ahead}{start}"


def _behind(reason: Reason) -> str:
    ahead = f"would fit now, but job {reason.ahead} is served first"
    return ahead if reason.ahead else "would fit now; the next pass looks at it"


SENTENCES: Mapping[Code, Callable[[Reason], str]] = MappingProxyType(
    {
        Code.STOPPED: lambda _: "the queue is stopped: start it, or ask for a single pass",
        Code.HELD: lambda _: "is on hold: release it to let it run",
        Code.NOT_BEFORE: lambda r: f"is not to start before its time, which comes in {span(r.wait_s or 0)}",
        Code.NO_SUCH_DEVICE: _no_such,
        Code.TOO_FEW_DEVICES: _too_few,
        Code.UNHEALTHY: lambda r: f"{_needs(r)}; of {r.exist}, only {_are(r.free)} in service",
        Code.QUOTA_GPUS: lambda r: f"{_needs(r)}; its project may use {r.limit} at a time, and uses {r.used}",
        Code.QUOTA_JOBS: lambda r: f"its project may run {_jobs(r.limit)} at a time, and runs {r.used}",
        Code.STRANGER: lambda r: f"{_needs(r)}; {_are(r.free)} free{_blocked(r)}. {r.busy}",
        Code.BUSY: _busy,
        Code.FRAGMENTED: _fragmented,
        Code.RESERVED: _reserved,
        Code.BEHIND: _behind,
    }
)
