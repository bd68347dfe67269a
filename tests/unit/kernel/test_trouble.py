"""Which errors of Redis pass by themselves, as redis-py tells them."""

from __future__ import annotations

import pytest
from redis import exceptions

from swiftletd.kernel.redis.trouble import Trouble, trouble_of
from swiftletd.kernel.rpc.interceptors.errors import to_service_error


@pytest.mark.parametrize(
    ("error", "trouble"),
    [
        (exceptions.ConnectionError("gone"), Trouble.AWAY),
        (exceptions.TimeoutError("slow"), Trouble.AWAY),
        (ConnectionResetError(), Trouble.AWAY),
        (exceptions.BusyLoadingError("Redis is loading the dataset in memory"), Trouble.LOADING),
        (exceptions.OutOfMemoryError("command not allowed when used memory > 'maxmemory'."), Trouble.MEMORY),
        (exceptions.ReadOnlyError("You can't write against a read only replica."), Trouble.REPLICA),
        (exceptions.MasterDownError("Link with MASTER is down"), Trouble.REPLICA),
        (exceptions.ResponseError("UNBLOCKED force unblock from blocking operation"), Trouble.REPLICA),
        (exceptions.ResponseError("MISCONF Errors writing to the AOF file: No space left"), Trouble.DISK),
        (
            exceptions.ResponseError("Command # 2 of pipeline caused error: MISCONF Errors writing"),
            Trouble.DISK,
        ),
    ],
)
def test_what_passes_is_told_with_the_seconds_to_wait(error: Exception, trouble: Trouble):
    assert trouble_of(error) is trouble
    told = to_service_error(error, "r-1")
    assert told.code == "UNAVAILABLE"
    assert told.retry_after
    assert "Nothing was changed" in told.message


@pytest.mark.parametrize(
    "error", [exceptions.ResponseError("WRONGTYPE Operation"), exceptions.DataError("x"), ValueError("y")]
)
def test_a_mistake_of_ours_does_not_pass(error: Exception):
    assert trouble_of(error) is None
    assert to_service_error(error, "r-1").reason == "INTERNAL"


def test_a_path_that_can_not_be_read_is_not_blamed_on_redis():
    assert to_service_error(OSError(36, "File name too long"), "r-1").reason == "INTERNAL"
