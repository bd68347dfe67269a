"""Exports and attempts: what each of their states lets happen, and what not."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swiftletd.kernel.ids import is_id
from swiftletd.training.domain import decide
from swiftletd.training.domain.job import AttemptState, ExportState, State, changed
from swiftletd.training.wire.consumer import owner
from unit.training.test_decide import BUG, EXPORTED, GOOD, a_job, completed, done, running


@pytest.mark.parametrize("exports", [True, False])
def test_an_export_again_has_a_run_of_its_own_whether_the_training_run_exported_or_not(exports: bool) -> None:
    job = completed(exports=exports)
    if exports:
        job = done(decide.exported(job, job.entry(1), EXPORTED, None, 30.0))
    again = done(decide.export_again(job))
    assert again.exports == 2
    assert done(decide.exported(again, again.export_entry(), EXPORTED, None, 40.0)).export is ExportState.DONE


@pytest.mark.parametrize(("state", "export"), list(product(State, ExportState)))
def test_an_export_is_begun_only_for_a_completed_job_that_does_not_export(
    state: State, export: ExportState
) -> None:
    begun = decide.export_again(a_job(state=state, export=export, exports=1))
    allowed = state is State.COMPLETED and export is not ExportState.RUNNING
    assert (begun is not None) == allowed
    assert not begun or (begun.job.export, begun.job.exports) == (ExportState.RUNNING, 2)


@pytest.mark.parametrize("export", [state for state in ExportState if state is not ExportState.RUNNING])
def test_only_an_export_that_runs_can_end(export: ExportState) -> None:
    job = changed(completed(), export=export)
    assert decide.exported(job, job.entry(1), EXPORTED, None, 30.0) is None


@pytest.mark.parametrize("state", [state for state in AttemptState if state is not AttemptState.RUNNING])
def test_an_attempt_that_ended_hears_no_more_words_than_that_its_run_is_over(state: AttemptState) -> None:
    job = running()
    job = changed(job, attempts=(replace(job.attempts[0], state=state),))
    entry = job.entry(1)
    assert decide.process_started(job, entry, 42) is None
    assert decide.trained(job, entry, GOOD, None, True, 30.0) is None
    assert decide.not_started(job, entry, BUG, 30.0) is None
    over = done(decide.run_over(job, entry, 30.0))
    assert (over.attempts[0].state, over.attempts[0].run_over) == (state, True)
    assert decide.run_over(over, entry, 31.0) is None


# Made of what could make one name look like another.
IDS = (
    st.lists(st.sampled_from(["x", "1", "2", "-", ".", "_", "export"]), min_size=1).map("".join).filter(is_id)
)
RUNS = st.tuples(IDS, st.booleans(), st.integers(1, 30))


def _name(run: tuple[str, bool, int]) -> str:
    key, exports, number = run
    job = a_job(id=key)
    return job.export_entry(number) if exports else job.entry(number)


@given(RUNS, RUNS)
@example(("x", True, 2), ("x-export", False, 2))
@example(("x", True, 2), ("x-export.2", False, 2))
def test_no_two_runs_have_one_name_and_each_name_tells_its_job(
    one: tuple[str, bool, int], other: tuple[str, bool, int]
) -> None:
    assert (_name(one) == _name(other)) == (one == other)
    assert owner(_name(one)) == one[0]
