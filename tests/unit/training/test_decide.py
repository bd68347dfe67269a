"""What becomes of a training job: the table, each decision, and long walks of words in any order."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from swiftletd.training.domain import decide
from swiftletd.training.domain.decide import Fault, StepResult
from swiftletd.training.domain.job import (
    TERMINAL,
    TRANSITIONS,
    AttemptState,
    Change,
    ExportState,
    ForbiddenMove,
    Job,
    Lease,
    State,
    Submit,
    Withdraw,
    changed,
    move,
)
from swiftletd.training.domain.param_fields import Method, TrainerType

LEASE = Lease(token=7, devices=("GPU-a",), visible_devices="0", gpu_ids="0")
GOOD = StepResult(step="train", success=True, result_path="/out/checkpoint-9", final_loss=0.5, seconds=9)
BAD = StepResult(step="train", success=False, exit_code=1, seconds=2)
EXPORTED = StepResult(step="export", success=True, result_path="/out/merged")
LOST = Fault(reason="LOST", message="Gone.")
BUG = Fault(reason="BAD_PARAMETER", message="Wrong flag.")


def a_job(**changes: object) -> Job:
    fresh = Job(
        id="job-1",
        task_type="llm",
        trainer_type=TrainerType.LLM,
        method=Method.SFT,
        data_path="/data",
        model_path="/model",
        output_dir="/out",
        params={},
        created_at=1.0,
    )
    return changed(fresh, **changes)


def done(change: Change | None) -> Job:
    """The job after a change that has to be one."""
    assert change is not None
    return change.job


def submitted(**changes: object) -> Job:
    return done(decide.submit(a_job(**changes)))


def running(**changes: object) -> Job:
    job = submitted(**changes)
    return done(decide.granted(job, job.entry(), LEASE, 10.0))


def completed(*, exports: bool = True) -> Job:
    job = running()
    return done(decide.trained(job, job.entry(1), GOOD, None, exports, 20.0))


# ---------------------------------------------------------------- the table


@pytest.mark.parametrize(("start", "end"), list(product(State, State)))
def test_a_job_moves_exactly_as_the_table_says(start: State, end: State) -> None:
    job = a_job(state=start)
    if end in TRANSITIONS[start]:
        assert move(job, end).state is end
        assert move(job, end).version == job.version + 1
    else:
        with pytest.raises(ForbiddenMove, match=f"from {start} to {end}"):
            move(job, end)


def test_the_ends_absorb_and_every_state_is_reached_and_can_end() -> None:
    assert {State.COMPLETED, State.FAILED, State.CANCELLED} == TERMINAL
    assert _reachable(State.PENDING) == set(State)
    for state in State:
        assert _reachable(state) & TERMINAL


def _reachable(start: State) -> set[State]:
    seen, todo = {start}, [start]
    while todo:
        new = TRANSITIONS[todo.pop()] - seen
        seen |= new
        todo += new
    return seen


# ---------------------------------------------------------------- waiting for GPUs


def test_a_job_is_submitted_once() -> None:
    change = decide.submit(a_job())
    assert change
    assert change.events[0].effect == Submit()
    assert change.job.submitted
    assert decide.submit(change.job) is None


def test_a_job_that_has_to_wait_is_queued_once_with_the_reason() -> None:
    job = submitted()
    queued = done(decide.must_wait(job, job.entry(), 2, "all busy", 60.0))
    assert (queued.state, queued.queue_position, queued.wait_reason) == (State.QUEUED, 2, "all busy")
    assert decide.must_wait(queued, job.entry(), 2, "all busy", 60.0) is None


def test_a_word_about_another_entry_or_an_unsubmitted_job_changes_nothing() -> None:
    job = submitted()
    for stranger in (a_job(), changed(job, next_attempt=2)):
        assert decide.must_wait(stranger, job.entry(), 1, "", 0) is None
        assert decide.granted(stranger, job.entry(), LEASE, 1.0) is None
        assert decide.taken_out(stranger, job.entry()) is None


def test_a_granted_job_runs_with_a_new_attempt_and_forgets_its_place() -> None:
    job = submitted()
    queued = done(decide.must_wait(job, job.entry(), 2, "all busy", 60.0))
    job = done(decide.granted(queued, queued.entry(), LEASE, 10.0))
    assert (job.state, job.queue_position, job.started_at) == (State.RUNNING, 0, 10.0)
    assert [a.number for a in job.attempts] == [1]
    assert decide.granted(job, job.entry(1), LEASE, 11.0) is None
    assert decide.must_wait(job, job.entry(1), 1, "late", 0) is None


def test_a_job_taken_out_waits_for_start_under_another_entry() -> None:
    job = submitted()
    idle = done(decide.taken_out(job, job.entry()))
    assert (idle.state, idle.submitted) == (State.PENDING, False)
    assert decide.taken_out(idle, job.entry()) is None
    again = done(decide.submit(idle))
    assert again.entry() != job.entry()
    assert decide.granted(again, job.entry(), LEASE, 1.0) is None


# ---------------------------------------------------------------- the run


def test_the_process_is_noted_once_and_not_after_its_attempt() -> None:
    job = done(decide.process_started(running(), "training-job-1-1", 42))
    assert job.process_id == 42
    assert decide.process_started(job, "training-job-1-1", 42) is None
    retried = done(decide.trained(changed(job, max_retries=1), job.entry(1), BAD, LOST, False, 1.0))
    assert decide.process_started(retried, job.entry(1), 42) is None


@pytest.mark.parametrize("exports", [True, False])
def test_a_trained_job_is_completed_and_then_exported_or_done(exports: bool) -> None:
    job = completed(exports=exports)
    assert (job.state, job.final_loss, job.training_time) == (State.COMPLETED, 0.5, 9)
    assert job.export is (ExportState.RUNNING if exports else ExportState.DONE)
    assert decide.trained(job, job.entry(1), GOOD, None, exports, 21.0) is None
    assert not job.over
    if not exports:
        assert job.export_path == "/out/checkpoint-9"


def test_a_failed_step_fails_the_job_with_its_reason() -> None:
    job = done(decide.trained(running(max_retries=3), "training-job-1-1", BAD, BUG, True, 20.0))
    assert (job.state, job.failure_reason, job.error_message) == (
        State.FAILED,
        "BAD_PARAMETER",
        "Wrong flag.",
    )
    assert job.attempts[0].state is AttemptState.FAILED
    assert job.attempts[0].exit_code == 1


@pytest.mark.parametrize(
    ("word", "reason"), [("time_limit", "TIME_LIMIT"), ("lease_revoked", "LEASE_REVOKED")]
)
def test_a_stopped_step_says_what_stopped_it(word: str, reason: str) -> None:
    job = done(decide.trained(running(), "training-job-1-1", replace(BAD, stopped=word), BUG, True, 20.0))
    assert job.failure_reason == reason


def test_a_lost_attempt_is_tried_again_as_often_as_was_asked() -> None:
    job = running(max_retries=1)
    change = decide.trained(job, job.entry(1), BAD, LOST, True, 20.0)
    assert change
    assert (change.job.state, change.events[0].effect) == (State.PENDING, Submit())
    assert change.job.attempts[0].state is AttemptState.LOST
    again = done(decide.granted(change.job, change.job.entry(), LEASE, 30.0))
    assert (again.error_message, len(again.attempts)) == ("", 2)
    assert done(decide.trained(again, again.entry(2), BAD, LOST, True, 40.0)).state is State.FAILED


def test_a_run_that_ends_without_a_word_was_lost() -> None:
    job = done(decide.run_over(running(), "training-job-1-1", 20.0))
    assert (job.state, job.failure_reason, job.over) == (State.FAILED, "LOST", True)
    assert decide.run_over(job, "training-job-1-1", 21.0) is None


def test_a_job_is_over_when_its_run_is() -> None:
    job = done(decide.exported(completed(), "training-job-1-1", EXPORTED, None, 30.0))
    assert not job.over
    assert done(decide.run_over(job, job.entry(1), 31.0)).over


def test_a_launch_that_fails_gives_the_gpus_back() -> None:
    change = decide.not_started(running(), "training-job-1-1", BUG, 20.0)
    assert change
    assert change.events[-1].effect == Withdraw("training-job-1-1")
    assert (change.job.state, change.job.over) == (State.FAILED, True)
    assert decide.not_started(change.job, "training-job-1-1", BUG, 21.0) is None


# ---------------------------------------------------------------- cancelling


def test_cancelling_what_waits_withdraws_it_and_what_runs_stays_until_its_run_is_over() -> None:
    waiting = decide.cancel(submitted(), 20.0)
    assert waiting
    assert waiting.events[0].effect == Withdraw("training-job-1-1")
    assert waiting.job.over
    assert waiting.job.entry() != "training-job-1-1"  # it may be heard of still
    job = running()
    change = decide.cancel(job, 20.0)
    assert change
    assert (change.events[0].effect, change.job.over) == (None, False)
    assert change.job.attempts[0].state is AttemptState.CANCELLED
    assert decide.trained(change.job, job.entry(1), GOOD, None, True, 21.0) is None
    assert done(decide.run_over(change.job, job.entry(1), 22.0)).state is State.CANCELLED
    assert decide.cancel(change.job, 23.0) is None


# ---------------------------------------------------------------- the export


def test_an_export_ends_once_and_can_be_repeated_only_for_a_completed_job() -> None:
    job = completed()
    assert decide.export_again(job) is None  # it exports already
    exported = done(decide.exported(job, job.entry(1), EXPORTED, None, 30.0))
    assert (exported.export, exported.export_path) == (ExportState.DONE, "/out/merged")
    assert decide.exported(exported, job.entry(1), EXPORTED, None, 31.0) is None
    assert done(decide.export_again(exported)).exports == 2
    assert decide.export_again(running()) is None


def test_a_failed_export_leaves_the_job_completed() -> None:
    bad = replace(EXPORTED, success=False, exit_code=1)
    job = done(decide.exported(completed(), "training-job-1-1", bad, BUG, 30.0))
    assert (job.state, job.export, job.export_error) == (State.COMPLETED, ExportState.FAILED, "Wrong flag.")


def test_the_first_export_said_again_does_not_end_the_second() -> None:
    first = done(decide.exported(completed(), "training-job-1-1", EXPORTED, None, 30.0))
    second = done(decide.export_again(first))
    assert decide.exported(second, "training-job-1-1", EXPORTED, None, 31.0) is None
    assert done(decide.run_over(second, "training-job-1-1", 32.0)).export is ExportState.RUNNING
    assert (
        done(decide.exported(second, second.export_entry(), EXPORTED, None, 33.0)).export is ExportState.DONE
    )


def test_the_late_end_of_a_lost_run_does_not_cut_off_the_export_of_the_next() -> None:
    job = running(max_retries=1)
    job = done(decide.trained(job, job.entry(1), BAD, LOST, True, 20.0))
    job = done(decide.granted(job, job.entry(), LEASE, 30.0))
    job = done(decide.trained(job, job.entry(2), GOOD, None, True, 40.0))
    job = done(decide.run_over(job, job.entry(1), 41.0))
    assert job.export is ExportState.RUNNING
    assert done(decide.run_over(job, job.entry(2), 42.0)).export is ExportState.FAILED


# ---------------------------------------------------------------- words in any order

ENTRIES = st.sampled_from(
    [f"training-job-1-{n}" for n in range(1, 6)] + ["training-job-1-export.2", "stranger"]
)
FAULTS = st.sampled_from([None, LOST, BUG])


class Walk(RuleBasedStateMachine):
    """One job that hears every word at any time, for any entry, and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.job = a_job(max_retries=2)
        self.now = 1.0

    def hear(self, change: Change | None) -> None:
        self.now += 1.0
        if change is None:
            return
        before, after = self.job, change.job
        assert after.version == before.version + 1
        assert after.state is before.state or after.state in TRANSITIONS[before.state]
        assert change.events
        self.job = after

    @rule()
    def submit(self) -> None:
        self.hear(decide.submit(self.job))

    @rule(entry=ENTRIES)
    def wait(self, entry: str) -> None:
        self.hear(decide.must_wait(self.job, entry, 1, "busy", 1.0))

    @rule(entry=ENTRIES)
    def grant(self, entry: str) -> None:
        self.hear(decide.granted(self.job, entry, LEASE, self.now))

    @precondition(lambda self: self.job.submitted)
    @rule()
    def grant_what_was_asked(self) -> None:
        self.hear(decide.granted(self.job, self.job.entry(), LEASE, self.now))

    @rule(entry=ENTRIES, pid=st.integers(1, 3))
    def start(self, entry: str, pid: int) -> None:
        self.hear(decide.process_started(self.job, entry, pid))

    @rule(entry=ENTRIES, result=st.sampled_from([GOOD, BAD]), fault=FAULTS, exports=st.booleans())
    def train(self, entry: str, result: StepResult, fault: Fault | None, exports: bool) -> None:
        self.hear(decide.trained(self.job, entry, result, fault, exports, self.now))

    @rule(entry=ENTRIES, success=st.booleans())
    def export(self, entry: str, success: bool) -> None:
        self.hear(decide.exported(self.job, entry, replace(EXPORTED, success=success), None, self.now))

    @rule(entry=ENTRIES)
    def end(self, entry: str) -> None:
        self.hear(decide.run_over(self.job, entry, self.now))

    @rule(entry=ENTRIES)
    def fail_to_start(self, entry: str) -> None:
        self.hear(decide.not_started(self.job, entry, BUG, self.now))

    @rule(entry=ENTRIES)
    def never_begin(self, entry: str) -> None:
        self.hear(decide.never_began(self.job, entry))

    @rule(entry=ENTRIES, checkpoint=st.sampled_from(["", "/out/checkpoint-5"]))
    def resume(self, entry: str, checkpoint: str) -> None:
        self.hear(decide.resumes(self.job, entry, checkpoint))

    @rule(entry=ENTRIES)
    def be_refused(self, entry: str) -> None:
        self.hear(decide.refused(self.job, entry, "Impossible.", self.now))

    @rule(entry=ENTRIES)
    def take_out(self, entry: str) -> None:
        self.hear(decide.taken_out(self.job, entry))

    @rule()
    def cancel(self) -> None:
        self.hear(decide.cancel(self.job, self.now))

    @rule()
    def export_again(self) -> None:
        self.hear(decide.export_again(self.job))

    @invariant()
    def one_attempt_at_most_trains_and_only_in_a_running_job(self) -> None:
        training = [a for a in self.job.attempts if a.state is AttemptState.RUNNING]
        assert len(training) == (self.job.state is State.RUNNING)
        assert all(not a.run_over for a in training)
        assert training in ([], [*self.job.attempts[-1:]])

    @invariant()
    def nothing_is_over_while_a_run_is_not(self) -> None:
        if self.job.over:
            assert self.job.state in TERMINAL
            assert all(a.run_over for a in self.job.attempts)

    @invariant()
    def attempts_are_numbered_upwards_and_no_name_comes_again(self) -> None:
        numbers = [a.number for a in self.job.attempts]
        assert numbers == sorted(set(numbers))
        assert all(number < self.job.next_attempt for number in numbers)
        assert len(numbers) <= 1 + self.job.max_retries

    @invariant()
    def only_what_waits_is_submitted(self) -> None:
        if self.job.submitted:
            assert self.job.state in (State.PENDING, State.QUEUED)
        assert self.job.state is not State.QUEUED or self.job.submitted

    @invariant()
    def a_process_is_told_only_while_it_runs(self) -> None:
        assert not self.job.process_id or self.job.state is State.RUNNING


Walk.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestWalk = Walk.TestCase
