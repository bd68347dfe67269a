"""What becomes of a deployment: the table, each decision, and long walks of words in any order."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from swiftletd.deploy.domain import decide
from swiftletd.deploy.domain.decide import Fault
from swiftletd.deploy.domain.deployment import (
    RESTING,
    TRANSITIONS,
    Change,
    Deployment,
    ForbiddenMove,
    Lease,
    State,
    Submit,
    Withdraw,
    move,
)

LEASE = Lease(token=7, devices=("GPU-a",), visible_devices="0", gpu_ids="0")
BUG = Fault(reason="BAD_PARAMETER", message="Wrong flag.")


def fresh(**changes: object) -> Deployment:
    it = Deployment(
        id="d",
        model_path="/m",
        served_path="/m",
        served_model_name="d",
        deploy_type="llm",
        created_at=1.0,
        port=8001,
    )
    return replace(it, **changes)


def done(change: Change | None) -> Deployment:
    """The deployment after a change that has to be one."""
    assert change is not None
    return change.deployment


def starting() -> Deployment:
    it = done(decide.submit(fresh()))
    return done(decide.granted(it, it.entry(), LEASE, 10.0))


def running() -> Deployment:
    return done(decide.answered(starting(), "deploy-d-1", 11.0))


@pytest.mark.parametrize(("start", "end"), list(product(State, State)))
def test_a_deployment_moves_exactly_as_the_table_says(start: State, end: State) -> None:
    it = fresh(state=start)
    if end in TRANSITIONS[start]:
        assert move(it, end).state is end
    else:
        with pytest.raises(ForbiddenMove, match=f"from {start} to {end}"):
            move(it, end)


def test_what_rests_can_only_be_started_again() -> None:
    assert {state: set(TRANSITIONS[state]) for state in RESTING} == {s: {State.PENDING} for s in RESTING}


def test_it_is_submitted_once_and_queued_with_the_reason() -> None:
    change = decide.submit(fresh(), port=8002, priority=4)
    assert change
    it = change.deployment
    assert (it.port, it.priority, change.events[0].effect) == (8002, 4, Submit())
    assert decide.submit(it) is None
    queued = done(decide.must_wait(it, it.entry(), 3, "all busy", 5.0))
    assert (queued.state, queued.queue_position) == (State.QUEUED, 3)
    assert decide.must_wait(queued, it.entry(), 3, "all busy", 5.0) is None
    assert decide.must_wait(it, "deploy-d-9", 3, "all busy", 5.0) is None


def test_a_grant_starts_one_attempt_and_only_an_answer_makes_it_running() -> None:
    it = starting()
    assert (it.state, it.alive, it.submitted) == (State.PENDING, True, False)
    assert decide.granted(it, it.entry(1), LEASE, 11.0) is None
    assert decide.submit(it) is None
    assert done(decide.process_started(it, it.entry(1), 42)).process_id == 42
    assert decide.answered(it, "deploy-d-9", 11.0) is None
    assert running().state is State.RUNNING
    assert decide.answered(running(), "deploy-d-1", 12.0) is None


def test_its_port_changes_only_before_its_end() -> None:
    moved = done(decide.move_port(starting(), "deploy-d-1", 8005))
    assert (moved.port, moved.attempt and moved.attempt.port, moved.state) == (8005, 8005, State.PENDING)
    assert decide.move_port(starting(), "deploy-d-9", 8005) is None
    assert decide.move_port(done(decide.cancel(starting(), 20.0)), "deploy-d-1", 8005) is None


def test_an_end_with_and_without_a_fault() -> None:
    assert done(decide.ended(running(), "deploy-d-1", None, 20.0)).state is State.COMPLETED
    failed = done(decide.ended(running(), "deploy-d-1", BUG, 20.0))
    assert (failed.state, failed.failure_reason, failed.over) == (State.FAILED, "BAD_PARAMETER", False)
    assert decide.ended(failed, "deploy-d-1", BUG, 21.0) is None
    over = done(decide.run_over(failed, "deploy-d-1", 22.0))
    assert (over.over, over.failure_reason) == (True, "BAD_PARAMETER")
    assert decide.run_over(over, "deploy-d-1", 23.0) is None


def test_a_run_that_ends_without_a_word_was_lost() -> None:
    it = done(decide.run_over(running(), "deploy-d-1", 20.0))
    assert (it.state, it.failure_reason, it.over) == (State.FAILED, "LOST", True)


def test_a_launch_that_fails_gives_the_gpus_back() -> None:
    change = decide.not_started(starting(), "deploy-d-1", BUG, 20.0)
    assert change
    assert change.events[-1].effect == Withdraw("deploy-d-1")
    assert change.deployment.over
    assert decide.not_started(change.deployment, "deploy-d-1", BUG, 21.0) is None


def test_what_was_stopped_before_its_launch_gives_the_gpus_back() -> None:
    stopped = done(decide.cancel(starting(), 20.0))
    change = decide.never_began(stopped, "deploy-d-1")
    assert change
    assert (change.deployment.state, change.deployment.over) == (State.CANCELLED, True)
    assert change.events[0].effect == Withdraw("deploy-d-1")
    assert decide.never_began(change.deployment, "deploy-d-1") is None
    assert decide.never_began(starting(), "deploy-d-1") is None


def test_a_stop_keeps_the_port_until_the_server_is_gone_and_then_it_starts_again() -> None:
    stopped = done(decide.cancel(running(), 20.0))
    assert (stopped.state, stopped.over) == (State.CANCELLED, False)
    assert decide.cancel(stopped, 21.0) is None
    assert decide.submit(stopped) is None
    over = done(decide.run_over(stopped, "deploy-d-1", 22.0))
    again = done(decide.submit(over))
    assert (again.state, again.entry(), again.completed_at) == (State.PENDING, "deploy-d-2", 0.0)
    assert decide.granted(again, "deploy-d-1", LEASE, 23.0) is None


def test_taken_out_or_cancelled_while_it_waits_its_entry_never_comes_again() -> None:
    waiting = done(decide.submit(fresh()))
    out = decide.take_out(waiting, tell=True)
    assert out
    assert (out.events[0].effect, out.deployment.entry()) == (Withdraw("deploy-d-1"), "deploy-d-2")
    told = decide.take_out(waiting, tell=False)
    assert told
    assert told.events[0].effect is None
    assert decide.take_out(out.deployment, tell=True) is None
    cancelled = decide.cancel(waiting, 5.0)
    assert cancelled
    assert cancelled.events[0].effect == Withdraw("deploy-d-1")
    assert (cancelled.deployment.over, cancelled.deployment.entry()) == (True, "deploy-d-2")


def test_a_deletion_of_what_does_not_live_leaves_nothing() -> None:
    waiting = done(decide.submit(fresh()))
    deleted = decide.delete(waiting, 5.0)
    assert [event.type for event in deleted.events] == ["deploy.job.cancelled", "deploy.job.deleted"]
    assert deleted.events[0].effect == Withdraw("deploy-d-1")
    assert (deleted.deployment.gone, deleted.deployment.entries()) == (True, ["deploy-d-1"])
    failed = done(decide.refused(waiting, "deploy-d-1", "Impossible.", 5.0))
    again = decide.delete(failed, 6.0)
    assert [event.type for event in again.events] == ["deploy.job.deleted"]
    assert (again.deployment.gone, again.deployment.version) == (True, failed.version + 1)


@pytest.mark.parametrize("stop_first", [False, True])
def test_a_deletion_of_what_lives_stops_it_and_is_through_when_nothing_of_it_lives(stop_first: bool) -> None:
    it = done(decide.cancel(running(), 20.0)) if stop_first else running()
    doomed = decide.delete(it, 21.0).deployment
    assert (doomed.state, doomed.doomed, doomed.gone, doomed.alive) == (State.CANCELLED, True, False, True)
    assert decide.granted(doomed, doomed.entry(), LEASE, 22.0) is None
    assert done(decide.run_over(doomed, "deploy-d-1", 23.0)).gone


ENTRIES = st.sampled_from([f"deploy-d-{n}" for n in range(1, 6)] + ["stranger"])
FAULTS = st.sampled_from([None, BUG])


class Walk(RuleBasedStateMachine):
    """One deployment that hears every word at any time, for any entry, and twice."""

    def __init__(self) -> None:
        super().__init__()
        self.it = fresh()
        self.now = 1.0

    def hear(self, change: Change | None) -> None:
        self.now += 1.0
        if change is None:
            return
        before, after = self.it, change.deployment
        assert after.version == before.version + 1
        assert after.state is before.state or after.state in TRANSITIONS[before.state]
        assert change.events
        self.it = after

    @precondition(lambda self: not self.it.doomed)  # clients don't find it any more
    @rule()
    def submit(self) -> None:
        self.hear(decide.submit(self.it))

    @rule(entry=ENTRIES)
    def wait(self, entry: str) -> None:
        self.hear(decide.must_wait(self.it, entry, 1, "busy", 1.0))

    @precondition(lambda self: self.it.submitted)
    @rule()
    def wait_as_asked(self) -> None:
        self.hear(decide.must_wait(self.it, self.it.entry(), 1, "busy", 1.0))

    @rule(entry=ENTRIES)
    def grant(self, entry: str) -> None:
        self.hear(decide.granted(self.it, entry, LEASE, self.now))

    @precondition(lambda self: self.it.submitted)
    @rule()
    def grant_what_was_asked(self) -> None:
        self.hear(decide.granted(self.it, self.it.entry(), LEASE, self.now))

    @rule(entry=ENTRIES)
    def move_port(self, entry: str) -> None:
        self.hear(decide.move_port(self.it, entry, 8005))

    @rule(entry=ENTRIES, pid=st.integers(1, 3))
    def start(self, entry: str, pid: int) -> None:
        self.hear(decide.process_started(self.it, entry, pid))

    @rule(entry=ENTRIES)
    def answer(self, entry: str) -> None:
        self.hear(decide.answered(self.it, entry, self.now))

    @rule(entry=ENTRIES, fault=FAULTS)
    def end(self, entry: str, fault: Fault | None) -> None:
        self.hear(decide.ended(self.it, entry, fault, self.now))

    @rule(entry=ENTRIES)
    def run_over(self, entry: str) -> None:
        self.hear(decide.run_over(self.it, entry, self.now))

    @rule(entry=ENTRIES)
    def fail_to_start(self, entry: str) -> None:
        self.hear(decide.not_started(self.it, entry, BUG, self.now))

    @rule(entry=ENTRIES)
    def never_begin(self, entry: str) -> None:
        self.hear(decide.never_began(self.it, entry))

    @rule(entry=ENTRIES)
    def be_refused(self, entry: str) -> None:
        self.hear(decide.refused(self.it, entry, "Impossible.", self.now))

    @rule()
    def cancel(self) -> None:
        self.hear(decide.cancel(self.it, self.now))

    @rule()
    def delete(self) -> None:
        self.hear(decide.delete(self.it, self.now))

    @rule(tell=st.booleans())
    def take_out(self, tell: bool) -> None:
        self.hear(decide.take_out(self.it, tell=tell))

    @invariant()
    def what_runs_is_alive_and_what_waits_is_not(self) -> None:
        if self.it.state is State.RUNNING:
            assert self.it.alive
        if self.it.submitted:
            assert not self.it.alive
            assert self.it.state in (State.PENDING, State.QUEUED)
        assert self.it.state is not State.QUEUED or self.it.submitted

    @invariant()
    def it_is_not_over_while_its_server_lives(self) -> None:
        assert not (self.it.over and self.it.alive)

    @invariant()
    def what_is_doomed_never_runs_again(self) -> None:
        assert not self.it.doomed or self.it.state in RESTING

    @invariant()
    def no_name_comes_again(self) -> None:
        assert self.it.attempt is None or self.it.attempt.number < self.it.next_attempt


Walk.TestCase.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)
TestWalk = Walk.TestCase
