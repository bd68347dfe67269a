"""The supervisor, told as histories: what happens to the processes, and what it does then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.suite.domain.member import Member, Policy
from swiftletd.suite.domain.states import RUNNING, State
from unit.suite.doubles import Scene

REDIS = Member(name="redis", grace=30)
GPU = Member(name="gpu", after=("redis",))
TRAINING = Member(name="training", after=("redis",))
ENVOY = Member(name="envoy", after=("gpu", "training"))
ALL = (REDIS, GPU, TRAINING, ENVOY)
NAMES = [member.name for member in ALL]


@pytest.fixture
def scene() -> Scene:
    return Scene(ALL)


@pytest.fixture
def up(scene: Scene) -> Scene:
    scene.processes.ready = set(NAMES)
    scene.wait(1)
    assert scene.supervisor.is_up
    scene.processes.calls.clear()
    return scene


def test_each_is_started_when_those_before_it_answer(scene):
    scene.wait(1)
    assert scene.processes.running == {"redis"}

    scene.processes.ready = {"redis"}
    scene.wait(1)
    assert scene.processes.running == {"redis", "gpu", "training"}

    scene.processes.ready |= {"gpu"}
    scene.wait(1)
    assert "envoy" not in scene.processes.running

    scene.processes.ready |= {"training", "envoy"}
    scene.wait(1)
    assert scene.supervisor.is_up
    assert scene.processes.asked_to("launch") == NAMES


def test_one_that_dies_is_started_again_at_once_and_alone(up):
    up.processes.dies("gpu")
    up.wait(0.2)
    assert up.processes.calls == [("launch", "gpu")]
    assert up.state("gpu") == State.HEALTHY
    assert up.supervisor.members["gpu"].restarts == 1
    assert up.supervisor.members["gpu"].exit_code == -11


def test_one_that_dies_again_and_again_is_started_more_and_more_rarely(up):
    moments = []
    for _ in range(12):
        up.processes.dies("gpu")
        before = up.now
        while up.state("gpu") != State.HEALTHY or "gpu" not in up.processes.running:
            up.wait(0.05)
        moments.append(up.now - before)
    assert moments == sorted(moments)
    assert moments[0] < 0.2
    assert 30 <= moments[-1] < 30.2


def test_what_was_healthy_once_is_never_given_up(up):
    up.processes.ready.remove("training")
    for _ in range(50):
        up.wait(40)
        up.processes.dies("training", 1)
    up.wait(40)
    assert up.state("training") == State.STARTING
    assert not up.supervisor.gave_up


def test_a_long_healthy_life_makes_earlier_failures_forgotten(up):
    for _ in range(5):
        up.processes.dies("gpu")
        up.wait(5)
    assert up.supervisor.members["gpu"].failures == 5

    up.wait(60)
    up.processes.dies("gpu")
    up.wait(0.2)
    assert up.supervisor.members["gpu"].failures == 1
    assert up.state("gpu") == State.HEALTHY


def test_one_that_never_gets_healthy_is_given_up_and_the_rest_is_stopped(scene):
    scene.processes.ready = {"redis", "gpu", "envoy"}
    for _ in range(3):
        scene.wait(1)
        scene.processes.dies("training", 1)
    scene.wait(1)
    assert [member.name for member in scene.supervisor.gave_up] == ["training"]
    assert scene.supervisor.is_over
    assert not scene.processes.running
    assert scene.state("envoy") == State.STOPPED
    assert "envoy" not in scene.processes.asked_to("launch")


def test_one_that_hangs_at_its_start_is_killed_and_tried_again(scene):
    scene.wait(59)
    assert scene.processes.asked_to("kill") == []
    scene.wait(2)
    assert scene.processes.asked_to("kill") == ["redis"]
    assert scene.state("redis") == State.STARTING
    scene.wait(130)
    assert scene.processes.asked_to("kill") == ["redis"] * 3
    assert scene.state("redis") == State.GAVE_UP


def test_one_that_waits_long_for_others_after_a_restart_is_left_in_peace(up):
    # Given that Redis is away for an hour, and a service was restarted meanwhile
    up.processes.ready.clear()
    up.processes.dies("gpu")
    up.wait(3600)
    # then nobody kills it for not being healthy
    assert up.processes.asked_to("kill") == []
    up.processes.ready = set(NAMES)
    up.wait(0.1)
    assert up.state("gpu") == State.HEALTHY


def test_a_program_that_is_not_there_is_given_up(scene):
    scene.processes.missing = {"redis"}
    scene.wait(2)
    assert scene.states_of("redis") == ["backing off", "backing off", "gave up"]
    assert scene.supervisor.members["redis"].exit_code == 127


def test_the_suite_is_stopped_in_reverse_order(up):
    up.supervisor.stop()
    up.wait(1)
    assert up.supervisor.is_over
    stopped = up.processes.asked_to("terminate")
    assert stopped[0] == "envoy"
    assert stopped[-1] == "redis"
    assert sorted(stopped) == sorted(NAMES)
    assert up.processes.asked_to("kill") == []


def test_those_below_wait_for_one_that_ends_slowly(up):
    up.processes.obedient = False
    up.supervisor.stop()
    up.wait(5)
    assert up.processes.asked_to("terminate") == ["envoy"]
    up.processes.dies("envoy", 0)
    up.wait(0.1)
    assert sorted(up.processes.asked_to("terminate")[1:]) == ["gpu", "training"]


def test_one_that_does_not_end_is_killed_after_its_grace(up):
    up.processes.obedient = False
    up.supervisor.stop()
    up.wait(9.9)
    assert up.processes.asked_to("kill") == []
    up.wait(20.2)
    assert sorted(up.processes.asked_to("kill")) == ["envoy", "gpu", "training"]
    up.wait(31)
    assert up.processes.asked_to("kill")[-1] == "redis"
    assert up.supervisor.is_over


def test_a_second_wish_to_stop_ends_all_at_once(up):
    up.processes.obedient = False
    up.supervisor.stop()
    up.wait(1)
    up.supervisor.kill()
    up.wait(0.1)
    assert not up.processes.running
    assert up.supervisor.is_over


@pytest.mark.parametrize("moment", [0.0, 0.5])
def test_stopping_in_the_middle_of_the_start(scene, moment):
    scene.processes.ready = {"redis"}
    scene.wait(moment)
    scene.supervisor.stop()
    scene.wait(1)
    assert scene.supervisor.is_over
    assert not scene.processes.running


def test_one_that_backs_off_is_not_started_any_more_when_the_suite_stops(up):
    up.processes.dies("gpu")
    up.supervisor.stop()
    up.wait(60)
    assert up.processes.asked_to("launch") == []
    assert up.state("gpu") == State.STOPPED


def test_it_sleeps_long_when_all_is_well(up):
    assert up.supervisor.step() == 30


def test_it_looks_often_at_what_starts(scene):
    scene.wait(0)
    assert 0 < scene.supervisor.step() < 0.1


EVENTS = st.one_of(
    st.tuples(st.just("dies"), st.sampled_from(NAMES)),
    st.tuples(st.just("answers"), st.sampled_from(NAMES)),
    st.tuples(st.just("hangs"), st.sampled_from(NAMES)),
    st.tuples(st.just("vanishes"), st.sampled_from(NAMES)),
    st.tuples(st.just("wait"), st.floats(0, 100)),
    st.tuples(st.just("stop"), st.none()),
)


def happen(scene: Scene, event: str, what) -> None:
    match event:
        case "dies":
            scene.processes.dies(what)
        case "answers":
            scene.processes.ready.add(what)
        case "hangs":
            scene.processes.ready.discard(what)
        case "vanishes":
            scene.processes.missing ^= {what}
        case "wait":
            scene.wait(what)
        case "stop":
            scene.supervisor.stop()


@given(st.lists(EVENTS, max_size=40))
def test_whatever_happens_the_books_are_right_and_the_end_is_clean(events):
    scene = Scene(ALL, Policy(start_timeout=5))
    for event, what in events:
        happen(scene, event, what)
        scene.wait(0)
        members = scene.supervisor.members.values()
        assert {member.name for member in members if member.state in RUNNING} == scene.processes.running
        assert all((member.pid is not None) == (member.state in RUNNING) for member in members)
    scene.supervisor.stop()
    scene.wait(120)
    assert scene.supervisor.is_over
    assert not scene.processes.running
