"""What every store of the gpu service keeps, whatever it is made of."""

from __future__ import annotations

import asyncio

import pytest

from contract.gpu.making import change, end, grant, next_of, part, predicted, waiting, whole
from swiftletd.gpu.domain.score import Kept
from swiftletd.gpu.ports import Notice, Outcome, State
from swiftletd.kernel.idempotency import UNKEYED, Once, Repeated

OK, STALE, TAKEN, STOPPED, REPEATED = Outcome


async def queued(store, record):
    assert await store.enqueue([change(record)]) == [OK]
    return record


async def granted(store, record, token, *shares):
    given = grant(await queued(store, record), token, *shares)
    assert await store.grant([given]) == [OK]
    return given.record


async def only(store, id):
    (record,) = await store.fetch([id])
    return record


async def test_an_entry_is_kept_as_it_was_given(store):
    record = await queued(store, waiting(gpus=2, gpu_name="h100", time_limit_s=60.0))
    assert await only(store, record.id) == record
    assert (await store.load()).records == [record]


async def test_an_entry_is_queued_once_for_one_version_of_its_job(store, told):
    record = await queued(store, waiting())
    assert await store.enqueue([change(record), change(next_of(record))]) == [STALE, REPEATED]
    assert await told() == 1


async def test_an_ended_entry_comes_back_for_a_newer_version_only(store):
    record = await queued(store, waiting(source=3))
    gone = next_of(record, state=State.REMOVED)
    assert await store.dequeue([change(gone)]) == [OK]
    again = next_of(gone, state=State.WAITING)
    assert await store.enqueue([change(again)]) == [REPEATED]
    newer = next_of(gone, state=State.WAITING, source=4)
    assert await store.enqueue([change(newer)]) == [OK]
    assert (await store.load()).records == [newer]


async def test_what_was_withdrawn_before_it_was_seen_is_not_queued_later(store):
    assert await store.dequeue([change(waiting(source=2))]) == [OK]
    tombstone = await only(store, "training-a-1")
    late = next_of(tombstone, state=State.WAITING, source=1)
    assert await store.enqueue([change(late)]) == [REPEATED]


async def test_a_change_needs_the_version_before(store, told):
    record = await queued(store, waiting())
    moved = next_of(record)
    assert await store.update([change(moved), change(moved)]) == [OK, STALE]
    assert await told() == 2


async def test_a_request_id_changes_something_once(store, mark):
    record = await queued(store, waiting())
    first, second = next_of(record), next_of(next_of(record))
    once = Once("r", b"move", str.encode)
    assert await store.update([change(first, once=once, answer="Moved.")]) == [OK]
    assert await store.update([change(second, once=once, answer="Moved twice.")]) == [REPEATED]
    assert await store.dequeue([change(second, once=once, answer="Removed.")]) == [REPEATED]
    assert await mark("r") == b"moveMoved."


async def test_a_call_that_found_nothing_to_do_is_marked_if_that_is_still_so(store, mark):
    record = await queued(store, waiting())
    once = Once("n", b"hold", str.encode)
    assert await store.note(record, UNKEYED, "Held already.")
    assert not await store.note(next_of(record), once, "Held already.")
    assert await mark("n") is None
    assert await store.note(record, once, "Held already.")
    assert await mark("n") == b"holdHeld already."
    with pytest.raises(Repeated):
        await store.note(record, once, "Held already.")


async def test_a_claim_is_had_once_and_its_answer_can_be_told_later(store, mark):
    once = Once("c", b"pass", str.encode)
    await store.claim(once, "Begun.")
    with pytest.raises(Repeated):
        await store.claim(once, "Begun.")
    await store.improve(once, "Two started.")
    assert await mark("c") == b"passTwo started."
    await store.drop(once)
    await store.claim(once, "Begun.")


async def test_the_processor_is_stopped_once_by_one_call(store, mark):
    once, other = Once("p", b"stop", str.encode), Once("q", b"stop", str.encode)
    notice = Notice(type="gpu.processor.stopped", subject="", version=0, at=1.0, message="Stopped.")
    assert await store.set_processing(False, notice, "Stopped already.", once)
    assert not await store.set_processing(False, notice, "Stopped already.", other)
    assert (await mark("p"), await mark("q")) == (b"stopStopped.", b"stopStopped already.")
    assert await store.set_processing(True, notice, "Runs already.")
    for repeat in (once, other):
        with pytest.raises(Repeated):
            await store.set_processing(False, notice, "Stopped already.", repeat)
    assert await store.processing()


async def test_a_whole_device_is_given_once(store, told):
    a, b = await queued(store, waiting("training-a-1")), await queued(store, waiting("training-b-1"))
    assert await store.grant([grant(a, 1, whole()), grant(b, 2, whole())]) == [OK, TAKEN]
    assert await told() == 3
    assert await store.live() == (1, [await only(store, a.id)])
    assert (await only(store, b.id)).state is State.WAITING


async def test_a_gang_gets_all_or_nothing(store):
    await granted(store, waiting("training-a-1"), 1, whole("GPU-1"))
    b = await queued(store, waiting("training-b-1", gpus=2))
    assert await store.grant([grant(b, 2, whole("GPU-0"), whole("GPU-1"))]) == [TAKEN]
    assert await store.grant([grant(b, 2, whole("GPU-0"), whole("GPU-2"))]) == [OK]


@pytest.mark.parametrize(
    ("taken", "asked", "outcome"),
    [
        (part(30_000), part(50_000), OK),
        (part(30_000), part(50_001), TAKEN),
        (part(1), whole(), TAKEN),
        (whole(), part(1), TAKEN),
    ],
)
async def test_shares_of_a_device_fit_into_it_all_together(store, taken, asked, outcome):
    await granted(store, waiting("training-a-1"), 1, taken)
    b = await queued(store, waiting("training-b-1"))
    assert await store.grant([grant(b, 2, asked)]) == [outcome]


async def test_a_device_has_so_many_shares_at_most(store):
    await granted(store, waiting("training-a-1"), 1, part(1))
    b = await queued(store, waiting("training-b-1"))
    assert await store.grant([grant(b, 2, part(1), most=1)]) == [TAKEN]


async def test_a_project_holds_no_more_than_its_quota(store):
    a = await granted(store, waiting("training-a-1", project="nlp"), 1, whole("GPU-0"))
    b = await queued(store, waiting("training-b-1", project="nlp"))
    assert await store.grant([grant(b, 2, whole("GPU-1"), max_jobs=1)]) == [TAKEN]
    assert await store.grant([grant(b, 2, whole("GPU-1"), whole("GPU-2"), max_gpus=2)]) == [TAKEN]
    other = await queued(store, waiting("training-c-1", project="vision"))
    assert await store.grant([grant(other, 2, whole("GPU-1"), max_jobs=1)]) == [OK]
    await store.end([end(a)])
    assert await store.grant([grant(b, 3, whole("GPU-0"), max_jobs=1, max_gpus=1)]) == [OK]


async def test_a_token_that_is_not_new_grants_nothing(store):
    await granted(store, waiting("training-a-1"), 7, whole("GPU-0"))
    b = await queued(store, waiting("training-b-1"))
    assert await store.grant([grant(b, 7, whole("GPU-1"))]) == [TAKEN]
    assert await store.grant([grant(b, 8, whole("GPU-1"))]) == [OK]


async def test_an_entry_that_was_removed_at_the_same_moment_gets_nothing(store):
    a = await queued(store, waiting())
    await store.dequeue([change(next_of(a, state=State.WITHDRAWN))])
    assert await store.grant([grant(a, 1, whole())]) == [STALE]
    assert await store.live() == (0, [])


async def test_an_entry_that_was_changed_at_the_same_moment_gets_nothing(store):
    a = await queued(store, waiting())
    held = next_of(a)
    assert await store.update([change(held)]) == [OK]
    assert await store.grant([grant(a, 1, whole())]) == [STALE]
    assert await store.grant([grant(held, 1, whole())]) == [OK]


async def test_a_stopped_processor_grants_only_what_is_forced(store):
    a, b = await queued(store, waiting("training-a-1")), await queued(store, waiting("training-b-1"))
    stop = Notice(type="gpu.processor.stopped", subject="processor", version=1, at=1.0, message="Stopped.")
    assert await store.set_processing(False, stop, "Already.") is True
    assert await store.set_processing(False, stop, "Already.") is False
    assert await store.processing() is False
    forced = grant(b, 1, whole("GPU-1"), forced=True)
    assert await store.grant([grant(a, 1, whole("GPU-0")), forced]) == [STOPPED, OK]


async def test_an_ended_lease_frees_its_devices_once(store, told):
    a = await granted(store, waiting("training-a-1"), 1, whole(), whole("GPU-1"))
    over = end(a)
    assert await store.end([over, over]) == [OK, STALE]
    assert await told() == 3
    assert await store.live() == (1, [])
    assert await store.end([end(over.record)]) == [STALE]  # whatever version it is told
    await granted(store, waiting("training-b-1"), 2, whole("GPU-1"))


async def test_the_end_of_one_share_leaves_the_others(store):
    a = await granted(store, waiting("training-a-1"), 1, part(30_000))
    await granted(store, waiting("training-b-1"), 2, part(30_000))
    await store.end([end(a)])
    c = await queued(store, waiting("training-c-1"))
    assert await store.grant([grant(c, 3, part(50_001))]) == [TAKEN]
    assert await store.grant([grant(c, 3, part(50_000))]) == [OK]


async def test_an_active_lease_stays_live_and_says_why_it_is_to_end(store):
    a = await granted(store, waiting(), 1, whole())
    active = next_of(a, state=State.ACTIVE, revoking="GPU 0 was lost.")
    assert await store.activate([change(active), change(active)]) == [OK, STALE]
    assert await only(store, a.id) == active


async def test_how_long_similar_jobs_ran_is_remembered(store):
    for token, seconds in ((1, 50.0), (2, 70.0)):
        record = await granted(store, waiting(f"training-{token}-1"), token, whole())
        await store.end([end(record, gpu_seconds=seconds, lasted=seconds)])
    assert await store.lasted(["m/lora", "other"]) == {"m/lora": [70.0, 50.0], "other": []}


async def test_the_part_of_its_time_limit_that_each_job_took_is_remembered(store):
    for token, took in ((1, 0.5), (2, None), (3, 0.25)):
        record = await granted(store, waiting(f"training-{token}-1"), token, whole())
        await store.end([end(record, part=took)])
    assert list((await store.load()).parts) == [0.25, 0.5]


async def test_predictions_are_kept_with_the_real_start(store):
    told = predicted(await queued(store, waiting()), 15.0, 25.0)
    told = next_of(told)
    assert await store.update([change(told)]) == [OK]
    assert await store.grant([grant(told, 1, whole())]) == [OK]
    assert list(await store.kept()) == [Kept(15.0, 25.0, 20.0)]


async def test_the_health_of_a_device_is_told_when_it_changes(store, told):
    lost = Notice(type="gpu.device.lost", subject="GPU-0", version=1, at=1.0, message="It is lost.")
    assert [await store.device_changed("GPU-0", health, lost) for health in ("lost", "lost", "healthy")] == [
        True,
        False,
        True,
    ]
    assert await told() == 2


async def test_one_scheduler_leads_at_a_time(store):
    assert await store.lead("one", 10)
    assert await store.lead("one", 10)
    assert not await store.lead("two", 10)
    await store.resign("two")
    assert not await store.lead("two", 10)
    await store.resign("one")
    assert await store.lead("two", 10)


async def test_many_schedulers_at_once_give_each_device_once(store):
    records = [await queued(store, waiting(f"training-{n}-1")) for n in range(20)]

    async def scheduler(number):
        changes = [grant(r, number * 100 + n, whole(f"GPU-{n % 4}")) for n, r in enumerate(records, 1)]
        return await store.grant(changes)

    await asyncio.gather(*(scheduler(n) for n in range(5)))
    _, live = await store.live()
    devices = [share.device for record in live for share in record.lease.shares]
    assert len(devices) == len(set(devices)) <= 4
    tokens = [record.lease.token for record in live]
    assert len(tokens) == len(set(tokens))
