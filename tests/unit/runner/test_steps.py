"""How the end of a step is judged, and what the words of its command become."""

from __future__ import annotations

import pytest

from swiftletd.runner.spec import Step
from swiftletd.runner.steps import Outcome, fill, is_success, output_directory, result_path

TRAIN = Step(name="train", argv=("swift",), cwd="/work", output_dir="/out")
EXPORT = Step(name="export", argv=("swift",), cwd="/work", output_dir="/merged")
SAVED = ("/out/checkpoint-10", "/out/checkpoint-20")


@pytest.mark.parametrize(
    ("outcome", "success"),
    [
        (Outcome(exit_code=0, stopped="", trained=True), True),
        (Outcome(exit_code=0, stopped="", trained=False), False),
        (Outcome(exit_code=1, stopped="", trained=True), False),
        (Outcome(exit_code=-9, stopped="", trained=False), False),
        # A trainer that saves when it is asked to stop leaves with 0 and its final row.
        (Outcome(exit_code=0, stopped="cancelled", trained=True), False),
    ],
)
def test_a_training_succeeds_with_0_and_the_final_row_unless_it_was_stopped(outcome, success):
    assert is_success(TRAIN, outcome) is success


@pytest.mark.parametrize(
    ("outcome", "success"),
    [
        (Outcome(exit_code=0, stopped=""), True),
        (Outcome(exit_code=2, stopped=""), False),
        (Outcome(exit_code=0, stopped="time_limit"), False),
    ],
)
def test_any_other_step_succeeds_with_0(outcome, success):
    assert is_success(EXPORT, outcome) is success


@pytest.mark.parametrize("stopped", ["", "cancelled"])
def test_the_result_of_a_training_is_its_last_checkpoint_however_it_ended(stopped):
    assert result_path(TRAIN, Outcome(exit_code=1, stopped=stopped, checkpoints=SAVED)) == SAVED[-1]
    assert result_path(TRAIN, Outcome(exit_code=0, stopped=stopped)) == ""


def test_the_result_of_an_export_is_its_directory_if_it_succeeded():
    assert result_path(EXPORT, Outcome(exit_code=0, stopped="")) == "/merged"
    assert result_path(EXPORT, Outcome(exit_code=1, stopped="")) == ""


def test_only_what_is_known_is_filled_in():
    values = {"port": lambda: "8001", "checkpoint": lambda: pytest.fail("nobody asked for it")}
    assert fill("--port={port}", values) == "--port=8001"
    assert fill('{"a": {"port": 1}} {other}', values) == '{"a": {"port": 1}} {other}'


def test_a_relative_directory_is_below_where_the_child_works():
    step = Step(name="train", argv=("swift",), cwd="/work", output_dir="out")
    assert str(output_directory(step)) == "/work/out"
    assert str(output_directory(TRAIN)) == "/out"
