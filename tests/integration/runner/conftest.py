"""Real runners, a real Redis, and a double of ms-swift."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from support.redis import RedisServer
from support.runs import FakeRun
from swiftletd.runner.launching import Launcher, Spawner


@pytest.fixture
def forking() -> Iterator[Launcher]:
    """Starts runners by a fork server, as the services do."""
    with closing(Launcher(sys.executable)) as made:
        yield made


@pytest.fixture
def launcher(forking) -> Spawner:
    """How runs are started; a module may want `either_launcher` instead."""
    return forking


@pytest.fixture(params=["forked", "spawned"])
def either_launcher(request, forking) -> Spawner:
    """Both ways of starting a runner."""
    return forking if request.param == "forked" else Spawner(sys.executable)


@pytest.fixture
def new_run(tmp_path, launcher) -> Iterator[Callable[..., FakeRun]]:
    """Makes runs that talk to the given server, and leaves none of their processes behind."""
    made: list[FakeRun] = []

    def make(server: RedisServer | str, **wanted) -> FakeRun:
        url = server if isinstance(server, str) else server.url
        made.append(FakeRun(tmp_path / uuid.uuid4().hex[:12], url, launcher, **wanted))
        return made[-1]

    yield make
    for run in made:
        run.close()


@pytest.fixture
def run(new_run, redis_server) -> Callable[..., FakeRun]:
    """Makes runs that talk to the server of the session."""
    return lambda **wanted: new_run(redis_server, **wanted)
