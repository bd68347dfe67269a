"""When a broken stream is taken up again, and after how long."""

from __future__ import annotations

import pytest

from swiftlet import (
    NotFound,
    ResumeTokenExpired,
    Retry,
    SwiftletError,
    Unavailable,
    Unreachable,
    WatcherTooSlow,
)
from swiftlet._shared.config import service_config
from swiftlet._shared.watches import Resumption


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def resumption(clock, jitter=1.0, **retry):
    return Resumption(Retry(**retry), clock=clock, jitter=lambda: jitter)


@pytest.mark.parametrize("error", [Unavailable("no"), Unreachable("no"), WatcherTooSlow("no")])
def test_what_passes_is_tried_again_after_delays_that_double_up_to_a_limit(clock, error):
    tries = resumption(clock, first_delay=1, longest_delay=5)

    assert [tries.after(error) for _ in range(5)] == [1, 2, 4, 5, 5]


@pytest.mark.parametrize("error", [NotFound("no"), ResumeTokenExpired("no"), SwiftletError("no")])
def test_what_does_not_pass_is_raised(clock, error):
    with pytest.raises(type(error)):
        resumption(clock).after(error)


def test_delays_are_jittered_between_a_half_and_the_whole(clock):
    error = Unavailable("no")

    assert resumption(clock, jitter=0.0, first_delay=1).after(error) == 0.5
    assert resumption(clock, jitter=1.0, first_delay=1).after(error) == 1.0


def test_a_message_makes_the_delays_short_again(clock):
    tries = resumption(clock, first_delay=1)
    tries.after_end()
    tries.after_end()
    tries.moved()

    assert tries.after_end() == 1


def test_it_gives_up_when_nothing_came_for_long_enough(clock):
    tries = resumption(clock, give_up_after=60)
    clock.now = 59
    tries.after_end()
    tries.moved()
    clock.now = 118
    tries.after_end()
    clock.now = 119

    with pytest.raises(Unavailable):
        tries.after_end()


def test_with_retries_off_the_first_break_is_raised_and_grpc_repeats_nothing(clock):
    with pytest.raises(Unavailable):
        Resumption(Retry.off(), clock=clock).after_end()
    assert service_config(Retry.off()) == {}


def test_grpc_repeats_calls_that_were_refused_as_unavailable_and_no_others():
    policy = service_config(Retry(attempts=9))["methodConfig"][0]["retryPolicy"]

    assert policy["retryableStatusCodes"] == ["UNAVAILABLE"]
    assert policy["maxAttempts"] == 5


def test_grpc_repeats_single_calls_and_no_streams():
    named = {(n["service"], n["method"]) for n in service_config(Retry())["methodConfig"][0]["name"]}
    assert ("swiftlet.training.v1.TrainingService", "GetTrainingJob") in named
    assert ("swiftlet.deploy.v1.DeployService", "StopDeployment") in named
    assert ("swiftlet.gpu.v1.GpuService", "ListQueue") in named
    assert not [method for _, method in named if method.startswith("Watch")]
