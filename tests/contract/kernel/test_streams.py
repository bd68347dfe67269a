"""What consumers and followers rely on, in Redis and in the double that the simulation uses."""

from __future__ import annotations

import asyncio

import pytest
from redis.exceptions import ResponseError


async def filled(streams, *words):
    await streams.xgroup_create("s", "g", id="0", mkstream=True)
    return [await streams.xadd("s", {"w": word}) for word in words]


async def read(streams, since, *, consumer="me", block=None):
    got = await streams.xreadgroup("g", consumer, {"s": since}, count=10, block=block)
    return [fields[b"w"] for _, fields in got[b"s"]] if got else []


async def deliveries(streams):
    pending = await streams.xpending_range("s", "g", "-", "+", 10)
    return [entry["times_delivered"] for entry in pending]


async def test_a_group_is_made_once(streams):
    await filled(streams)
    with pytest.raises(ResponseError, match="BUSYGROUP"):
        await streams.xgroup_create("s", "g", id="0", mkstream=True)


async def test_a_read_without_its_group_is_refused(streams):
    with pytest.raises(ResponseError, match="NOGROUP"):
        await read(streams, ">")


async def test_each_entry_is_given_to_one_consumer_and_stays_pending_until_it_is_acknowledged(streams):
    first, _ = await filled(streams, "a", "b")
    assert await read(streams, ">") == [b"a", b"b"]
    assert await read(streams, ">", consumer="other") == []
    assert await streams.xack("s", "g", first) == 1
    assert await streams.xack("s", "g", first) == 0
    assert await read(streams, "0") == [b"b"]
    assert await read(streams, "0", consumer="other") == []


async def test_each_reading_of_what_is_pending_counts_as_a_delivery(streams):
    (only,) = await filled(streams, "a")
    await read(streams, ">")
    assert await deliveries(streams) == [1]
    await read(streams, "0")
    assert await deliveries(streams) == [2]
    claimed = await streams.xclaim("s", "g", "other", 0, [only])
    assert claimed[0][1] == {b"w": b"a"}
    assert await deliveries(streams) == [3]
    assert await streams.xpending_range("s", "g", "-", "+", 10, consumername="me") == []


async def test_only_what_was_left_for_long_enough_is_claimed(streams):
    await filled(streams, "a")
    await read(streams, ">")
    _, entries, *_ = await streams.xautoclaim("s", "g", "other", 60_000, "0-0", count=10)
    assert entries == []
    cursor, entries, *_ = await streams.xautoclaim("s", "g", "other", 0, "0-0", count=10)
    assert (cursor, entries[0][1]) == (b"0-0", {b"w": b"a"})


async def test_a_blocking_read_gets_what_comes_while_it_waits(streams):
    await filled(streams)
    waits = asyncio.create_task(read(streams, ">", block=5000))
    await asyncio.sleep(0)
    await streams.xadd("s", {"w": "a"})
    assert await waits == [b"a"]
    assert await read(streams, ">", block=1) == []


async def test_a_follower_reads_on_from_a_position_on_several_streams(streams):
    first, _ = await filled(streams, "a", "b")
    got = await streams.xread({"s": first.decode(), "t": "0-0"}, count=10, block=1)
    assert [fields for _, fields in got[b"s"]] == [{b"w": b"b"}]
    assert b"t" not in got
    newest = await streams.xrevrange("s", count=1)
    assert newest[0][1] == {b"w": b"b"}
    assert not await streams.xread({"s": newest[0][0].decode()}, count=10, block=1)
