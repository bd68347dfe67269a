"""What was found good is good for a moment; what was not is looked at each time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from swiftletd.training.adapters.preflight.moment import MOMENT_SECONDS, MOST_ANSWERS, Moment


class World:
    """A clock, and a file that is looked at."""

    def __init__(self) -> None:
        self.now, self.looks, self.fault = 100.0, 0, ""
        self.moment = Moment(lambda: self.now)

    def ask(self, question: object = "a", good: Callable[[str], bool] = lambda fault: not fault) -> str:
        return self.moment.ask(question, self._look, good)

    def _look(self) -> str:
        self.looks += 1
        return self.fault


def test_a_good_answer_holds_for_a_moment():
    world = World()
    assert [world.ask(), world.ask()] == ["", ""]
    world.now += MOMENT_SECONDS * 0.9
    world.fault = "gone"
    assert (world.ask(), world.looks) == ("", 1)
    world.now += MOMENT_SECONDS * 0.2
    assert (world.ask(), world.looks) == ("gone", 2)


def test_the_moment_begins_with_the_first_question_not_with_the_last():
    world = World()
    for _ in range(100):
        world.ask()
        world.now += MOMENT_SECONDS / 10
    assert 10 <= world.looks <= 11


def test_who_mends_a_file_is_never_told_of_the_old_one():
    world = World()
    world.fault = "broken"
    assert world.ask() == "broken"
    world.fault = ""
    assert world.ask() == ""


def test_each_question_has_its_own_answer():
    world = World()
    world.ask("a")
    world.fault = "gone"
    assert (world.ask("a"), world.ask("b")) == ("", "gone")


def test_what_look_raises_is_raised_each_time():
    moment, calls = Moment(lambda: 1.0), []

    def look() -> str:
        calls.append(1)
        raise OSError

    for _ in range(2):
        with pytest.raises(OSError):  # noqa: PT011
            moment.ask("a", look, bool)
    assert len(calls) == 2


def test_memory_is_bounded():
    world = World()
    for question in range(MOST_ANSWERS + 10):
        world.ask(question)
    looks = world.looks
    world.ask(MOST_ANSWERS + 5)
    assert world.looks == looks + 1
    world.ask(0)
    assert world.looks == looks + 1
