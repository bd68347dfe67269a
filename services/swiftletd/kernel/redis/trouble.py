"""Troubles of Redis that pass: it is away, or it is there and takes no writes for now.

What was refused for one of these was not done at all: a script that can't have memory, or may not write, is
refused at its first write. So it can be done again when the trouble is over.
"""

from __future__ import annotations

from enum import StrEnum

from redis.exceptions import BusyLoadingError, MasterDownError, OutOfMemoryError, ReadOnlyError, RedisError

from swiftletd.kernel.redis.client import UNREACHABLE


class Trouble(StrEnum):
    """What is the matter with Redis."""

    AWAY = "away"
    LOADING = "loading"
    REPLICA = "replica"
    MEMORY = "memory"
    DISK = "disk"


def trouble_of(error: BaseException) -> Trouble | None:
    """The trouble that an exception tells of; None if it will not pass by itself."""
    match error:
        case BusyLoadingError():
            return Trouble.LOADING
        case _ if isinstance(error, UNREACHABLE):
            return Trouble.AWAY
        case OutOfMemoryError():
            return Trouble.MEMORY
        case ReadOnlyError() | MasterDownError():
            return Trouble.REPLICA
        case RedisError() if "MISCONF " in str(error):
            return Trouble.DISK
        case RedisError() if "UNBLOCKED " in str(error):  # it became a replica while we waited
            return Trouble.REPLICA
        case _:
            return None
