"""Watchers that don't read."""

from __future__ import annotations

import pytest

from swiftlet.gpu.v1.gpu_service_pb2 import WatchGpusResponse, WatchQueueResponse
from swiftletd.gpu.wire import watch
from swiftletd.kernel.errors import WatcherTooSlow


async def messages(kind):
    for number in range(3):
        yield kind(resume_token=f"{number}-0")


@pytest.mark.parametrize("kind", [WatchGpusResponse, WatchQueueResponse])
async def test_a_watcher_that_takes_too_long_is_ended_with_the_token_of_what_it_has(kind, monkeypatch):
    stream = watch.promptly(messages(kind))
    assert (await anext(stream)).resume_token == "0-0"
    assert (await anext(stream)).resume_token == "1-0"
    monkeypatch.setattr(watch, "SLOW_S", -1.0)  # whatever it took, it was too long
    with pytest.raises(WatcherTooSlow) as ended:
        await anext(stream)
    assert ended.value.metadata == {"resume_token": "1-0"}
