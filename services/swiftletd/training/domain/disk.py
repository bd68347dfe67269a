"""Room on the disk: what jobs have written, what they are still going to write, and whether one more fits.

All sizes are bytes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from swiftletd.kernel.errors import Violation

GIB = 2**30
HYSTERESIS = 0.02
"""So far below the high-water mark a disk has to come before it counts as well again."""
MOST_NAMED = 3
LIMIT = "DISK_LIMIT_GB"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """`outputs`: what the results of all jobs may take together, 0 for any; `reserve`: what stays free on
    each file system; `high_water`: the share from which a warning is due. Without `refuse` only the warnings
    are left."""

    refuse: bool = True
    outputs: int = 0
    reserve: int = 0
    high_water: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A file system, named by a path on it. What is kept for root counts as neither used nor free."""

    path: str
    device: int
    used: int
    free: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a job that isn't over may write in all on a device, and what it has written."""

    device: int
    needed: int
    written: int = 0

    @property
    def left(self) -> int:
        """What is still to come; an estimate that was too low counts for nothing more."""
        return max(0, self.needed - self.written)


class Books:
    """`kept`: what jobs that are over have left; shares by the id of those that are not.

    Sums are kept, so that one more job costs the same however many wait.
    """

    def __init__(self, kept: int = 0, shares: Mapping[str, Share] | None = None) -> None:
        self.kept = kept
        self.shares: dict[str, Share] = {}
        self._written, self._left, self._jobs = 0, Counter[int](), Counter[int]()
        for key, share in (shares or {}).items():
            self.add(key, share)

    def add(self, key: str, share: Share) -> None:
        """A job has this share now, in the place of one that it had."""
        self.drop(key)
        self.shares[key] = share
        self._written += share.written
        self._left[share.device] += share.left
        self._jobs[share.device] += 1

    def drop(self, key: str) -> None:
        """A job has no share any more."""
        if share := self.shares.pop(key, None):
            self._written -= share.written
            self._left[share.device] -= share.left
            self._jobs[share.device] -= 1

    @property
    def written(self) -> int:
        """What the results of all jobs take now."""
        return self.kept + self._written

    def uses(self, device: int) -> bool:
        """Whether a job has a share of the device."""
        return self._jobs[device] > 0

    def promised(self, device: int | None = None) -> int:
        """What jobs are still going to write, on one device or everywhere."""
        return self._left.total() if device is None else self._left[device]


@dataclass(frozen=True, slots=True)
class Output:
    """A directory with the results of a job, and its size."""

    path: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How full a disk is, or the limit of all results, which has no path. `high`: too full."""

    path: str
    used: int
    total: int
    promised: int
    high: bool

    @property
    def name(self) -> str:
        """What people call it."""
        return self.path or LIMIT

    @property
    def sentence(self) -> str:
        """What an operator has to know of it."""
        what = f"The disk of {self.path}" if self.path else "The limit of all results (DISK_LIMIT_GB)"
        free = f"{gib(self.total - self.used)} of {gib(self.total)} are free"
        if not self.high:
            return f"{what} has room again: {free}."
        coming = f", and jobs that run or wait may write {gib(self.promised)}" if self.promised else ""
        return (
            f"{what} is {self.used / max(1, self.total):.0%} full: {free}{coming}. Remove what nobody needs."
        )


def levels(
    volumes: Iterable[Volume], books: Books, limits: Limits, high: Container[str]
) -> tuple[Level, ...]:
    """How full everything is; `high` has the paths that counted as nearly full before."""
    found = [_level(v.path, v.used, v.free, books.promised(v.device), limits, high) for v in volumes]
    if limits.outputs:
        free = max(0, limits.outputs - books.written)
        found.append(_level("", books.written, free, books.promised(), limits, high))
    return tuple(found)


def _level(path: str, used: int, free: int, promised: int, limits: Limits, high: Container[str]) -> Level:
    fullness = used / max(1, used + free)
    is_high = fullness >= (limits.high_water - HYSTERESIS if (path or LIMIT) in high else limits.high_water)
    return Level(path=path, used=used, total=used + free, promised=promised, high=is_high)


def room_fault(needed: int, volume: Volume, books: Books, limits: Limits) -> Violation | None:
    """Why a job that may write so much doesn't fit beside the others; None where it does."""
    if not limits.refuse:
        return None
    promised = books.promised(volume.device)
    if needed + promised > volume.free - limits.reserve:
        return _full_disk(needed, promised, volume, limits)
    if limits.outputs and books.written + books.promised() + needed > limits.outputs:
        return _over_limit(needed, books, limits)
    return None


def _full_disk(needed: int, promised: int, volume: Volume, limits: Limits) -> Violation:
    kept = [f"{gib(promised)} of it are for jobs that run or wait"] if promised else []
    kept += [f"{gib(limits.reserve)} must stay free (DISK_RESERVE_GB)"] if limits.reserve else []
    but = f" ({', '.join(kept)})" if kept else ""
    text = f"has {gib(volume.free)} free on its disk{but}, and the results may take {gib(needed)}"
    return _no_space(text, needed=needed, free=volume.free, promised=promised, reserve=limits.reserve)


def _over_limit(needed: int, books: Books, limits: Limits) -> Violation:
    written, promised = books.written, books.promised()
    text = (
        f"can't take {gib(needed)} more: the results of all jobs may take {gib(limits.outputs)} together "
        f"(DISK_LIMIT_GB), they take {gib(written)}, and jobs that run or wait may write another "
        f"{gib(promised)}"
    )
    return _no_space(text, needed=needed, used=written, promised=promised, limit=limits.outputs)


def _no_space(text: str, **sizes: int) -> Violation:
    details = {f"{name}_bytes": str(size) for name, size in sizes.items()}
    return Violation("output_dir", text, "NO_DISK_SPACE", details)


def remedy(largest: Sequence[Output], params: Mapping[str, Any]) -> str:
    """What a person can do about it, as the rest of a sentence."""
    return "; " + ", or ".join(_remedies(largest, params))


def _remedies(largest: Sequence[Output], params: Mapping[str, Any]) -> Iterable[str]:
    named = ", ".join(f"{output.path} ({gib(output.size)})" for output in largest[:MOST_NAMED])
    yield f"remove results that nobody needs (the largest: {named})" if named else "free some space"
    if (kept := params.get("save_total_limit") or 0) > 1:
        yield f"lower save_total_limit (it is {kept})"
    if not params.get("save_only_model", True):
        yield "set save_only_model to true"
    yield "choose an output_dir on another disk"


def gib(size: int) -> str:
    """`12.0 GiB`"""
    return f"{size / GIB:.1f} GiB"
