"""What a training that ran out of memory is tried again with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.training.domain import decide
from swiftletd.training.domain.decide import Fault
from swiftletd.training.domain.job import Change, Job, Lease, State, Submit
from swiftletd.training.domain.less_memory import relief
from swiftletd.training.domain.params import Method, TrainerType

SMALL = {"batch_size": 1, "gradient_accumulation_steps": 4, "gradient_checkpointing": None, "lora_rank": 8}


@given(st.integers(2, 512), st.integers(1, 64))
def test_every_update_sees_as_many_rows_as_before_and_there_is_an_end(batch: int, steps: int) -> None:
    params = {**SMALL, "batch_size": batch, "gradient_accumulation_steps": steps}
    while found := relief(params):
        assert found.params["batch_size"] <= params["batch_size"] / 2
        assert found.params["batch_size"] * found.params["gradient_accumulation_steps"] == batch * steps
        assert found.params["lora_rank"] == 8
        params = dict(found.params)
    assert params["batch_size"] == 1


def test_the_change_is_told_in_words() -> None:
    found = relief({**SMALL, "batch_size": 8})
    assert found
    assert found.words == "batch_size 4 instead of 8 and gradient_accumulation_steps 8 instead of 4"
    last = relief({**SMALL, "gradient_checkpointing": False})
    assert last
    assert last.words == "gradient_checkpointing true instead of false"


@pytest.mark.parametrize("on", [None, True])  # None: ms-swift's own default, which is on
def test_where_nothing_is_left_to_change_there_is_nothing_to_try(on: bool | None) -> None:
    assert relief({**SMALL, "gradient_checkpointing": on}) is None


PARAMS = {"batch_size": 2, "gradient_accumulation_steps": 4}
FAILED = decide.StepResult(step="train", success=False, exit_code=1)
LEASE = Lease(token=1, devices=("cpu:0",))


def running(retries: int) -> Job:
    fresh = Job(
        id="a",
        task_type="llm",
        trainer_type=TrainerType.LLM,
        method=Method.SFT,
        data_path="/data",
        model_path="/model",
        output_dir="/out",
        params=PARAMS,
        created_at=1.0,
        max_retries=retries,
    )
    submitted = _job(decide.submit(fresh))
    return _job(decide.granted(submitted, submitted.entry(), LEASE, 2.0))


def _job(change: Change | None) -> Job:
    assert change
    return change.job


def test_what_ran_out_of_memory_is_tried_again_with_a_change_or_not_at_all() -> None:
    full = Fault(reason="OUT_OF_MEMORY", message="The GPU ran out of memory.")
    job = running(3)
    change = decide.trained(job, job.entry(1), FAILED, full, True, 20.0)
    assert change
    assert (change.job.state, change.events[0].effect) == (State.PENDING, Submit())
    assert change.job.params == {"batch_size": 1, "gradient_accumulation_steps": 8}
    assert (
        "batch_size 1 instead of 2 and gradient_accumulation_steps 8 instead of 4" in change.events[0].message
    )
    again = _job(decide.granted(change.job, change.job.entry(), LEASE, 30.0))
    assert _job(decide.trained(again, again.entry(2), FAILED, full, True, 40.0)).state is State.FAILED
    assert _job(decide.trained(running(0), job.entry(1), FAILED, full, True, 20.0)).params == PARAMS
