"""How attempts follow each other."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swiftletd.training.domain import decide
from swiftletd.training.domain.decide import Fault, Reached
from swiftletd.training.domain.job import Attempt, State, Submit, Withdraw, changed
from unit.training.test_decide import BAD, LEASE, LOST, done, running, submitted


def test_another_attempt_says_once_where_it_goes_on() -> None:
    lost = done(decide.run_over(running(max_retries=1), "training-job-1-1", 20.0, Reached(7, 1.5)))
    assert (lost.attempts[0].step, lost.attempts[0].loss) == (7, 1.5)
    again = done(decide.granted(lost, lost.entry(), LEASE, 30.0))
    for checkpoint, kind in (
        ("/out/checkpoint-5", "resumed"),
        ("", "started_over"),
    ):
        change = decide.resumes(again, "training-job-1-2", checkpoint)
        assert change
        assert change.events[0].type == f"training.job.{kind}"
        assert change.job.attempts[1].resumed_from == checkpoint
        assert decide.resumes(change.job, "training-job-1-2", "/other") is None
    assert decide.resumes(again, "training-job-1-1", "/out") is None, "it has ended"


def test_a_request_that_can_never_be_served_fails_the_job_that_waits_for_it() -> None:
    job = done(decide.refused(submitted(), "training-job-1-1", "The request can't be served.", 20.0))
    assert (job.state, job.failure_reason, job.over) == (State.FAILED, "IMPOSSIBLE_REQUEST", True)
    assert decide.refused(submitted(), "training-job-1-9", "no", 20.0) is None
    assert decide.refused(running(), "training-job-1-1", "no", 20.0) is None


@given(tried=st.integers(1, 11), delay=st.floats(0, 300), now=st.floats(1e9, 2e9))
def test_each_further_attempt_waits_twice_as_long_but_never_longer_than_five_minutes(
    tried: int, delay: float, now: float
) -> None:
    attempts = tuple(Attempt(number=n, lease=LEASE, run_over=n < tried) for n in range(1, tried + 1))
    job = changed(running(max_retries=11), attempts=attempts, next_attempt=tried + 1)
    again = done(decide.run_over(job, job.entry(tried), now, Reached(), delay))
    assert again.earliest_start == (now + min(300, delay * 2 ** (tried - 1)) if delay else 0.0)


def test_what_is_tried_again_as_it_was_waits_and_says_so() -> None:
    job = running(max_retries=3)
    for change in (
        decide.run_over(job, job.entry(1), 20.0, Reached(), 10.0),
        decide.not_started(job, job.entry(1), LOST, 20.0, 10.0),
        decide.trained(job, job.entry(1), BAD, LOST, False, 20.0, 10.0),
    ):
        assert change
        assert (change.job.earliest_start, change.events[0].effect) == (30.0, Submit())
        assert change.events[0].message.endswith("Attempt 2 follows in 10 s.")


def test_what_is_tried_again_with_a_change_waits_for_nothing() -> None:
    job = running(
        max_retries=3, earliest_start=5.0, params={"batch_size": 8, "gradient_accumulation_steps": 1}
    )
    full = Fault(reason="OUT_OF_MEMORY", message="It ran out of memory.")
    change = decide.trained(job, job.entry(1), BAD, full, False, 20.0, 10.0)
    assert change
    assert change.job.earliest_start == 5.0
    assert "follows, with batch_size 4 instead of 8" in change.events[0].message


def test_a_cancelled_attempt_that_never_began_gives_its_gpus_back_once() -> None:
    assert decide.never_began(running(), "training-job-1-1") is None
    cancelled = done(decide.cancel(running(), 20.0))
    assert not cancelled.over
    change = decide.never_began(cancelled, "training-job-1-1")
    assert change
    assert [event.effect for event in change.events] == [Withdraw("training-job-1-1")]
    assert change.job.over
    assert decide.never_began(change.job, "training-job-1-1") is None
