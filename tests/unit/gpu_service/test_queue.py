"""From a submission to a lease and back, and what operators do in between."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from unittest.mock import AsyncMock

import pytest

from contract.gpu.memory import MemoryStore
from swiftletd.gpu.domain.durations import Grounds, Source
from swiftletd.gpu.domain.entry import EntryKind
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.ports import Outcome, Removed
from swiftletd.gpu.usecases.intake import Submission
from swiftletd.kernel.errors import Conflict, InvalidArgument, NotFound
from swiftletd.kernel.idempotency import Once, Repeated
from unit.gpu_service.service import Service, State, gpu


async def test_jobs_run_by_priority_and_then_by_age(one):
    await one.submit("a", "b")
    await one.submit("c", priority=5)
    order = []
    for _ in range(3):
        await one.step()
        order += one.running
        await one.finish(one.running[0])
    assert order == ["c", "a", "b"]


async def test_who_waits_is_told_once_where_and_why(one):
    await one.submit("a", "b", "c", time_limit_s=600.0)
    await one.step()
    await one.step()
    told = one.told("gpu.entry.waiting")
    assert [(n.subject, n.body.position, n.body.code) for n in told] == [
        ("training-b-1", 1, "BUSY"),
        ("training-c-1", 2, "BUSY"),
    ]
    assert "job a, which ends in about 10 min (its time limit), frees 1" in told[0].body.reason
    assert told[0].body.wait_s == pytest.approx(600, abs=60)


async def test_who_gets_its_gpus_at_once_is_told_nothing_else(one):
    await one.submit("a")
    await one.step()
    assert [notice.type for notice in one.store.notices] == ["gpu.entry.queued", "gpu.lease.granted"]


async def test_the_same_submission_twice_is_one_entry(one):
    await one.submit("a", "b")
    await one.step()
    await one.submit("a", "b")
    await one.finish("a")
    await one.submit("a", "b")
    assert one.line == ["b"]
    assert one.state("a") is State.RELEASED


async def test_a_restarted_service_knows_what_it_knew(one):
    await one.submit("a", "b")
    await one.step()
    await one.desk.process(running=False)
    again = await Service(gpu(), store=one.store, clock=one.clock).open()
    assert (again.running, again.line, again.board.processing) == (["a"], ["b"], False)
    await again.submit("a", "b")
    assert again.line == ["b"]


async def test_a_refused_request_is_told_to_its_owner_and_never_queued(one):

    bad = Submission(
        entry="training-a-1", job_id="a", kind=EntryKind.TRAINING, source=1, at=0.0, refusal="No."
    )
    await one.intake.submit([bad, replace(bad, entry="training-b-1", refusal="", job_id="b")])
    assert one.line == ["b"]
    (told,) = one.told("gpu.entry.refused")
    assert (told.body.state, told.body.token, told.body.reason) == ("revoked", 0, "No.")


async def test_a_withdrawn_job_leaves_the_queue_or_gives_its_lease_back(one):
    await one.submit("a", "b")
    await one.step()
    await one.intake.withdraw("training-b-1", "b", 2)
    await one.intake.withdraw("training-a-1", "a", 2)
    assert (one.state("a"), one.state("b")) == (State.RELEASED, State.WITHDRAWN)
    assert one.store.held["GPU-0"] == {}


async def test_a_withdrawal_does_not_take_the_gpus_of_a_process_that_began(one):
    await one.submit("a")
    await one.step()
    await one.leases.begun(["training-a-1"])
    await one.intake.withdraw("training-a-1", "a", 2)
    assert one.state("a") is State.ACTIVE


async def test_a_withdrawal_that_overtakes_its_submission_wins(one):
    await one.intake.withdraw("training-a-1", "a", 2)
    await one.submit("a", version=1)
    assert one.line == []


async def test_a_removed_job_can_be_submitted_again_later(one):
    await one.submit("a", "b")
    await one.step()
    assert await one.desk.remove("b") == "b was taken out of the queue."
    assert one.told("gpu.entry.removed")[0].body == Removed()
    await one.submit("b", version=3)
    assert one.line == ["b"]


async def test_moving_changes_the_order_in_place(one):
    await one.submit("a", "b", "c")
    await one.step()
    assert await one.desk.move("c", 3) == "c was moved from priority 0 to 3."
    assert one.line == ["c", "b"]
    with pytest.raises(InvalidArgument, match="priority: must be from 0 to 10, got 11"):
        await one.desk.move("c", 11)


async def test_a_held_job_keeps_its_place_and_is_not_granted(one):
    await one.submit("a", "b")
    await one.desk.hold("a")
    await one.step()
    assert (one.running, one.line) == (["b"], ["a"])
    assert await one.desk.hold("a") == "a is on hold already."
    await one.submit("c")
    await one.desk.release("a")
    assert one.line == ["a", "c"]


async def test_operations_on_what_does_not_wait_are_refused(one):
    await one.submit("a")
    await one.step()
    with pytest.raises(NotFound, match="it has its GPUs"):
        await one.desk.remove("a")
    with pytest.raises(NotFound, match="nobody is not in the queue"):
        await one.answers.item("nobody")


async def test_a_repeated_request_does_nothing_more(one):
    await one.submit("a", "b")
    await one.step()
    once = Once("r", b"move", str.encode)
    await one.desk.move("b", 3, once)
    await one.desk.move("b", 5)
    with pytest.raises(Repeated):
        await one.desk.move("b", 3, once)
    assert len(one.told("gpu.entry.moved")) == 2


async def test_a_repeat_of_what_found_nothing_to_do_does_nothing_either(one):
    await one.submit("a", "b")
    await one.step()
    once = Once("r", b"release", str.encode)
    assert await one.desk.release("b", once) == "b is not on hold."
    await one.desk.hold("b")
    with pytest.raises(Repeated):
        await one.desk.release("b", once)


async def test_a_pass_by_hand_is_made_once(one):
    await one.desk.process(running=False)
    await one.submit("a")
    once = Once("r", b"process", lambda passed: str(passed.processed).encode())
    assert (await one.scheduler.pass_now(once)).processed == 1
    with pytest.raises(Repeated):
        await one.scheduler.pass_now(once)


async def test_a_pass_that_failed_can_be_asked_for_again(one):
    once = Once("r", b"process", lambda passed: str(passed.processed).encode())
    good, one.grants.make = one.grants.make, AsyncMock(side_effect=ConnectionError)
    with pytest.raises(ConnectionError):
        await one.scheduler.pass_now(once)
    one.grants.make = good
    await one.scheduler.pass_now(once)


async def test_an_operation_that_loses_every_race_is_a_conflict(one):
    class Racing(MemoryStore):
        async def update(self, changes):
            return [Outcome.STALE for _ in changes]

    racing = await Service(gpu(), store=Racing()).open()
    await racing.submit("a")
    with pytest.raises(Conflict):
        await racing.desk.move("a", 5)


async def test_a_stopped_processor_grants_nothing_but_what_is_asked_for_by_hand(one):
    await one.desk.process(running=False)
    await one.submit("a")
    await one.step()
    assert one.running == []
    assert one.told("gpu.entry.waiting")[0].body.code == "STOPPED"
    passed = await one.scheduler.make_pass(forced=True)
    assert (passed.processed, passed.started) == (1, ("a got GPU 0 of node.",))
    assert one.running == ["a"]


async def test_an_error_of_the_store_leaves_nothing_in_doubt_for_long(one):
    class Flaky(MemoryStore):
        broken = False

        async def grant(self, changes):
            outcomes = await super().grant(changes)
            if self.broken:
                raise ConnectionError("the reply was lost")
            return outcomes

    flaky = await Service(gpu(), store=Flaky()).open()
    await flaky.submit("a", "b")
    flaky.store.broken = True
    with pytest.raises(ConnectionError):
        await flaky.step()
    flaky.store.broken = False
    await flaky.step()
    assert (flaky.running, flaky.line) == (["a"], ["b"])


async def test_two_schedulers_at_once_give_each_gpu_once_and_agree_afterwards(four):
    other = await Service(*(gpu(n) for n in range(4)), store=four.store, clock=four.clock).open()
    await four.submit(*"abcdef")
    await other.catch_up()
    await four.grants.make()
    passed = await other.grants.make()
    assert passed.started == ()
    await other.grants.make()
    await four.catch_up()
    assert sorted(four.running) == sorted(other.running) == list("abcd")
    assert four.line == other.line == ["e", "f"]


@pytest.mark.parametrize("leads", [True, False])
async def test_a_scheduler_rests_when_the_time_of_an_entry_has_come_whether_it_leads_or_not(one, leads):
    await one.submit("later", earliest_start=one.clock.at + 60)
    one.clock.at += 61
    one.scheduler.leading = leads
    signal = one.scheduler._signal
    signal.wait = AsyncMock(side_effect=signal.wait)
    running = asyncio.create_task(one.scheduler.run())
    for _ in range(100):
        await asyncio.sleep(0)
    running.cancel()
    assert signal.wait.call_count == 1 + leads
    assert one.running == (["later"] if leads else [])


async def test_another_attempt_keeps_its_place_after_a_loss_that_was_not_its_fault(one):
    await one.submit("a")
    await one.step()
    one.clock.at += 100
    await one.submit("b")
    await one.leases.expire(one.board.records["training-a-1"])
    one.clock.at += 100
    await one.submit("a", attempt=2, version=2)
    assert one.line == ["a", "b"]


async def test_predictions_are_judged_by_the_real_start(one):
    await one.submit("a", "b", time_limit_s=60.0)
    await one.step()
    one.clock.at += 30
    await one.finish("a")
    await one.step()
    score = await one.answers.score()
    assert (score.starts, score.by_p50, score.by_p90) == (1, 1.0, 1.0)
    assert not score.enough


async def test_a_gang_that_only_several_machines_could_hold_is_told_so_and_not_started():
    two = [gpu(0, "a", uuid="GPU-a"), gpu(0, "b", uuid="GPU-b")]
    service = await Service(*two, policy=Policy(spread=False)).open()
    await service.submit("a", gpus=2, same_machine=False)
    await service.step()
    assert service.running == []
    assert service.told("gpu.entry.waiting")[0].body.reason == (
        "needs 2 GPUs on one machine; at most 1 is on one machine"
    )
    wide = await Service(*two, policy=Policy()).open()
    await wide.submit("a", gpus=2, same_machine=False)
    await wide.step()
    assert wide.running == ["a"]


async def ended(service, seconds, *jobs, **request):
    """Jobs that have run one after the other for so many seconds each."""
    for job in jobs:
        await service.submit(job, **request)
        await service.step()
        service.clock.at += seconds
        await service.finish(job)


async def test_those_that_wait_already_learn_from_similar_jobs_that_end_meanwhile(one):
    await one.submit("a", "b", "c", "d", "e", similarity="m", time_limit_s=86_400.0)
    for job in "abc":
        await one.step()
        one.clock.at += 100
        await one.finish(job)
    await one.step()
    standing = await one.answers.item("e")
    assert (standing.expected_s, standing.grounds) == (100.0, Grounds(Source.HISTORY, 3))
    assert standing.prediction.p50 == one.clock.at + 100


async def test_a_restarted_service_estimates_as_well_as_before(one):
    await ended(one, 100.0, "a", "b", "c", similarity="m", time_limit_s=1000.0)
    await one.submit("d", "e", similarity="m", time_limit_s=1000.0)
    await one.step()
    again = await Service(gpu(), store=one.store, clock=one.clock).open()
    await again.step()
    standing = await again.answers.item("e")
    assert (standing.expected_s, standing.prediction.p50) == (100.0, again.clock.at + 100)


async def test_a_job_of_an_unknown_kind_takes_the_part_of_its_limit_that_others_took(one):
    await ended(one, 60.0, *(f"j{n}" for n in range(10)), time_limit_s=600.0)
    await one.submit("a", "b", time_limit_s=6000.0)
    await one.step()
    one.oracle.doubt()
    standing = await one.answers.item("b")
    assert (standing.expected_s, standing.grounds) == (600.0, Grounds(Source.OTHERS, 10))
    assert standing.reason.sentence() == (
        "needs 1 GPU; none are free; "
        "job a, which ends in about 10 min (10 other jobs and its time limit), frees 1"
    )
    again = await Service(gpu(), store=one.store, clock=one.clock).open()
    assert (again.board.policy.limit_part, again.board.policy.limit_jobs) == (0.1, 10)


async def test_a_held_job_is_told_so_without_a_place(one):
    await one.submit("a")
    await one.desk.hold("a")
    await one.step()
    (told,) = one.told("gpu.entry.waiting")
    assert told.message == "a is on hold: release it to let it run."


async def test_a_runner_that_is_faster_than_the_news_of_its_grant_gives_its_lease_back(one):
    other = await Service(gpu(), store=one.store, clock=one.clock).open()
    await one.submit("a")
    await one.step()
    await other.finish("a")
    assert one.state("a") is State.RELEASED
    await one.catch_up()
    assert one.running == []


async def test_a_burst_is_told_without_a_look_into_the_future_for_each(one):
    await one.submit("a", "b", time_limit_s=600.0)
    await one.step()
    await one.step()
    one.oracle._cost, seen = 60.0, one.oracle._seen

    await one.submit("c", "d", time_limit_s=600.0)
    await one.step()

    told = {notice.subject: notice.body for notice in one.told("gpu.entry.waiting")}
    assert one.oracle._seen is seen
    assert [told[f"training-{name}-1"].position for name in "bcd"] == [1, 2, 3]
    assert [told[f"training-{name}-1"].wait_s for name in "bcd"] == pytest.approx([600, 1200, 1800], abs=60)
