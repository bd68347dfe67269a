"""How attempts follow each other."""

from __future__ import annotations

from swiftletd.training.domain import decide
from swiftletd.training.domain.decide import Reached
from swiftletd.training.domain.job import State, Withdraw
from unit.training.test_decide import LEASE, done, running, submitted


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


def test_a_cancelled_attempt_that_never_began_gives_its_gpus_back_once() -> None:
    assert decide.never_began(running(), "training-job-1-1") is None
    cancelled = done(decide.cancel(running(), 20.0))
    assert not cancelled.over
    change = decide.never_began(cancelled, "training-job-1-1")
    assert change
    assert [event.effect for event in change.events] == [Withdraw("training-job-1-1")]
    assert change.job.over
    assert decide.never_began(change.job, "training-job-1-1") is None
