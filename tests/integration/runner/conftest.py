"""Real runners, a real Redis, and a double of ms-swift."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from support.redis import RedisServer
from support.runs import FakeRun


@pytest.fixture
def new_run(tmp_path) -> Iterator[Callable[..., FakeRun]]:
    """Makes runs that talk to the given server, and leaves none of their processes behind."""
    made: list[FakeRun] = []

    def make(server: RedisServer | str, **wanted) -> FakeRun:
        url = server if isinstance(server, str) else server.url
        made.append(FakeRun(tmp_path / uuid.uuid4().hex[:12], url, **wanted))
        return made[-1]

    yield make
    for run in made:
        run.close()


@pytest.fixture
def run(new_run, redis_server) -> Callable[..., FakeRun]:
    """Makes runs that talk to the server of the session."""
    return lambda **wanted: new_run(redis_server, **wanted)
