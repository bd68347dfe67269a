"""What a scheduling pass decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swiftletd.gpu.domain.lease import Share
from swiftletd.gpu.domain.reason import Reason


@dataclass(frozen=True, slots=True)
class Grant:
    """These devices to this entry, now. Devices of one machine are next to each other."""

    entry_id: str
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Reservation:
    """The entry that is served next gets these devices, at `start_at` (seconds since the epoch).

    Until then only those use them who will have ended by then. `job_id` is its job, for people.
    """

    entry_id: str
    start_at: float
    devices: frozenset[str]
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """`reasons` has one for every entry of the queue that is not granted, computed when it is read.

    There is one reservation, and one more for each further kind of device that others wait for.
    """

    grants: tuple[Grant, ...]
    reasons: Mapping[str, Reason]
    reservations: tuple[Reservation, ...] = ()
