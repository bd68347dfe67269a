"""Where Redis is, and how long to leave it alone when it is not."""

from __future__ import annotations

import pytest

from swiftletd.runner.publisher import LONGEST_DELAY, backoff
from swiftletd.runner.redis import Address, AddressError, parse_address


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("unix:///run/redis.sock?db=3", Address(path="/run/redis.sock", database=3)),
        ("unix:///run/redis.sock", Address(path="/run/redis.sock")),
        ("unix://:p%40ss@/run/redis.sock?db=0", Address(path="/run/redis.sock", password="p@ss")),
        (
            "unix:///run/redis.sock?password=x&username=me",
            Address(path="/run/redis.sock", username="me", password="x"),
        ),
        ("redis://redis:6380/2", Address(host="redis", port=6380, database=2)),
        ("redis://me:secret@10.0.0.1", Address(host="10.0.0.1", username="me", password="secret")),
        ("rediss://redis.example:6379/0", Address(host="redis.example", tls=True)),
        ("redis://[::1]:7000", Address(host="::1", port=7000)),
    ],
)
def test_addresses(url, address):
    assert parse_address(url) == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "redis://",
        "http://:secret@x",
        "unix://",
        "redis://x:port",
        "redis://:secret@x/one",
        "redis://x:99999",
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url):
    with pytest.raises(AddressError) as refused:
        parse_address(url)
    assert "secret" not in str(refused.value)


def test_an_address_does_not_show_its_password():
    address = parse_address("redis://me:secret@host:1")
    assert "secret" not in f"{address} {address!r}"


def test_the_wait_grows_to_its_limit_and_is_never_nothing():
    assert backoff(0, 0.0) == pytest.approx(0.05)
    assert [backoff(failures, 1.0) for failures in range(5)] == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6])
    assert backoff(10_000, 1.0) == LONGEST_DELAY
    assert backoff(10_000, 0.0) == LONGEST_DELAY / 2
