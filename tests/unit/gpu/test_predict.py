"""When it will start, what would help, who comes next, and how good the answers were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from swiftletd.gpu.domain.durations import Estimate, Source
from swiftletd.gpu.domain.entry import EntryKind
from swiftletd.gpu.domain.hints import Change, hints
from swiftletd.gpu.domain.outlook import outlook
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.predict import Basis, Effort, likely_future, predict
from swiftletd.gpu.domain.score import Kept, score
from swiftletd.gpu.domain.snapshot import Snapshot
from swiftletd.gpu.domain.waiting import QueueError, WaitingQueue
from unit.gpu.builders import GIB, NOW, entry, gpu, holding, machine

POLICY = Policy()


def seen(devices, *holdings, **more):
    return Snapshot(devices=tuple(devices), holdings=holdings, **more)


def queue_of(*entries):
    return WaitingQueue(POLICY, entries)


def test_what_is_known_exactly_is_predicted_exactly():
    queue = queue_of(entry("a", takes=100), entry("b", takes=100, at=NOW + 1))
    found = predict(seen([gpu()], holding("x", ["m0/0"], ends_in=60)), queue, NOW, POLICY)
    assert (found["a"].p50, found["a"].p90) == (NOW + 60, NOW + 60)
    assert (found["b"].p50, found["b"].p90) == (NOW + 160, NOW + 160)


def test_what_is_not_known_exactly_has_a_later_p90():
    running = replace(holding("x", ["m0/0"], ends_in=600), ends_p90=NOW + 1200)
    found = predict(seen([gpu()], running), queue_of(entry("a")), NOW, POLICY, Effort(futures=101))
    assert found["a"].p50 == pytest.approx(NOW + 600, abs=150)
    assert found["a"].p90 == pytest.approx(NOW + 1200, abs=300)


def test_the_same_question_has_the_same_answer():
    running = replace(holding("x", ["m0/0"], ends_in=600), ends_p90=NOW + 1200)
    ask = (seen([gpu()], running), queue_of(entry("a"), entry("b")), NOW, POLICY)
    assert predict(*ask) == predict(*ask)


def test_a_small_job_in_the_gap_is_predicted_to_start_before_the_large_one():
    queue = queue_of(entry("big", gpus=2, takes=100), entry("brief", takes=50, at=NOW + 1))
    found = predict(seen(machine(gpus=2), holding("x", ["m0/0"], ends_in=60)), queue, NOW, POLICY)
    assert (found["brief"].p50, found["big"].p50) == (NOW, NOW + 60)


def test_behind_an_endless_job_nobody_knows():
    served = holding("chat", ["m0/0"], kind=EntryKind.DEPLOY)
    found = predict(seen([gpu()], served), queue_of(entry("a")), NOW, POLICY)
    assert (found["a"].p50, found["a"].p90) == (None, None)


def test_a_deployment_that_waits_holds_what_it_gets_for_ever():
    queue = queue_of(entry("chat", kind=EntryKind.DEPLOY), entry("a", at=NOW + 1))
    found = predict(seen([gpu()]), queue, NOW, POLICY)
    assert found["chat"].p50 == NOW
    assert found["a"].p50 is None


def test_a_stopped_queue_promises_nothing_and_a_held_entry_is_not_predicted():
    queue = queue_of(entry("a"), entry("held", held=True))
    found = predict(seen([gpu()], processing=False), queue, NOW, POLICY)
    assert found["a"].p50 is None
    assert "held" not in found


def test_a_sleeper_starts_at_its_time():
    queue = queue_of(entry("later", earliest_start=NOW + 500))
    found = predict(seen([gpu()]), queue, NOW, POLICY)
    assert found["later"].p50 == NOW + 500


def test_those_far_behind_wait_for_the_work_in_front_of_them():
    queue = queue_of(*(entry(f"e{n}", at=NOW + n, takes=100) for n in range(10)))
    found = predict(seen([gpu()]), queue, NOW, POLICY, Effort(entries=4, futures=3))
    assert found["e3"].basis is Basis.FUTURES
    assert found["e3"].p50 == NOW + 300
    assert found["e9"].basis is Basis.WORK_AHEAD
    assert found["e9"].p50 == NOW + 900


def test_those_behind_one_that_never_starts_are_still_told_something_or_nothing():
    served = holding("chat", ["m0/0"], kind=EntryKind.DEPLOY)
    queue = queue_of(*(entry(f"e{n}", at=NOW + n, takes=100) for n in range(4)))
    found = predict(seen([gpu()], served), queue, NOW, POLICY, Effort(entries=2, futures=3))
    assert [found[f"e{n}"].p50 for n in range(4)] == [None] * 4


def hints_for(queue, snapshot, name):
    return {hint.change: hint for hint in hints(snapshot, queue, name, NOW, POLICY)}


def test_fewer_gpus_help_where_few_are_free():
    running = holding("x", ["m0/0"], ends_in=3600)
    found = hints_for(queue_of(entry("a", gpus=2, takes=60)), seen(machine(gpus=2), running), "a")
    hint = found[Change.GPUS]
    assert (hint.value, hint.was, hint.start.p50) == ("1", "2", NOW)
    assert hint.sentence(NOW) == "with 1 GPU instead of 2 it starts at once"


def test_another_kind_of_gpu_helps_where_one_is_free():
    devices = [gpu("m0", 0), gpu("m1", 0, name="A100")]
    running = holding("x", ["m0/0"], ends_in=3600)
    found = hints_for(queue_of(entry("a", gpu_name="H100")), seen(devices, running), "a")
    assert found[Change.GPU_NAME].sentence(NOW) == "on A100 instead of H100 it starts at once"


def test_priority_helps_where_others_are_in_front():
    queue = queue_of(
        *(entry(f"e{n}", at=NOW + n, takes=600) for n in range(5)), entry("a", at=NOW + 9, takes=60)
    )
    running = holding("x", ["m0/0"], ends_in=300)
    hint = hints_for(queue, seen([gpu()], running), "a")[Change.PRIORITY]
    assert hint.start.p50 == NOW + 300
    assert hint.sentence(NOW) == "with priority 10 instead of 0 it starts in about 5 min"


def test_a_shared_gpu_helps_where_one_has_room():
    devices = [gpu("m0", 0), gpu("m0", 1)]
    running = [holding("x", ["m0/0"], ends_in=3600), holding("y", ["m0/1"], ends_in=3600, mib=8 * GIB)]
    found = hints_for(queue_of(entry("a", memory_mib=16 * GIB)), seen(devices, *running), "a")
    assert found[Change.SHARED].sentence(NOW) == "on a shared GPU, with 16 GiB of it, it starts at once"


def test_a_job_that_named_no_memory_is_told_of_the_room_beside_others():
    devices = [gpu(index=0), gpu(index=1)]
    running = [holding("x", ["m0/0"], ends_in=9000), holding("y", ["m0/1"], ends_in=9000, mib=56 * GIB)]
    found = hints_for(queue_of(entry("a")), seen(devices, *running), "a")
    assert found[Change.SHARED].sentence(NOW) == "on a shared GPU, with 24 GiB of it, it starts at once"
    smallest = hints_for(queue_of(entry("b", min_memory_mib=40 * GIB)), seen(devices, *running), "b")
    assert Change.SHARED not in smallest


def test_several_machines_are_no_help_to_a_launcher_of_one():
    devices = [gpu("m0"), gpu("m1")]
    queue, policy = queue_of(entry("a", gpus=2, takes=60)), Policy(spread=False)
    assert [hint.change for hint in hints(seen(devices), queue, "a", NOW, policy)] == [Change.GPUS]


def test_several_machines_help_where_one_is_too_small():
    devices = [*machine("m0", gpus=1), *machine("m1", gpus=1)]
    found = hints_for(queue_of(entry("a", gpus=2, takes=60)), seen(devices), "a")
    assert found[Change.MACHINES].instead_of.p50 is None
    assert found[Change.MACHINES].start.p50 == NOW


def test_nothing_is_advised_that_gains_nothing():
    running = holding("x", ["m0/0"], ends_in=300)
    assert hints_for(queue_of(entry("a")), seen([gpu()], running), "a") == {}


def test_the_best_hint_comes_first_and_the_entry_must_wait():
    running = [holding("x", ["m0/0"], ends_in=3600), holding("y", ["m0/1"], ends_in=600)]
    queue = queue_of(entry("a", gpus=4, takes=60))
    found = hints(seen(machine(gpus=4), *running), queue, "a", NOW, POLICY)
    starts = [hint.start.p50 for hint in found]
    assert starts == sorted(starts)
    with pytest.raises(QueueError):
        hints(seen([gpu()]), queue, "nobody", NOW, POLICY)


def test_every_gpu_tells_who_holds_it_and_what_is_next():
    running = [
        holding("x", ["m0/0"], ends_in=300, since=NOW - 50),
        holding("chat", ["m0/1"], mib=GIB, kind=EntryKind.DEPLOY),
    ]
    snapshot = seen(machine(gpus=3), *running)
    future = likely_future(snapshot, queue_of(entry("a", takes=60, gpus=2)), NOW, POLICY)
    found = outlook(snapshot, future, NOW, POLICY)
    (held,) = found["m0/0"].tenures
    assert (held.job_id, held.since, held.until, held.memory_mib) == ("x", NOW - 50, NOW + 300, None)
    assert (found["m0/0"].next_entry, found["m0/0"].next_at) == ("a", NOW + 300)
    assert found["m0/1"].tenures[0].until is None
    assert (found["m0/1"].next_entry, found["m0/1"].next_at) == ("", None)
    assert found["m0/2"].tenures == ()


def test_an_unknown_length_is_taken_from_the_policy():
    future = likely_future(seen([gpu()]), queue_of(entry("a"), entry("b", at=NOW + 1)), NOW, POLICY)
    assert future["b"].at == NOW + POLICY.assumed_s


def test_the_score_counts_the_last_starts():
    good, bad = Kept(NOW, NOW + 10, NOW - 1), Kept(NOW, NOW + 10, NOW + 11)
    found = score([bad] * 50 + [good] * 75 + [bad] * 25, last=100)
    assert (found.starts, found.by_p50, found.by_p90) == (100, 0.75, 0.75)
    assert found.sentence() == "of the last 100 starts, 75% came by p50 and 75% by p90"


def test_the_score_says_when_there_are_too_few():
    assert score([]).sentence().startswith("no predicted start has come yet")
    few = score([Kept(NOW, NOW + 10, NOW + 5)])
    assert not few.enough
    assert few.sentence() == (
        "of the last 1 starts, 0% came by p50 and 100% by p90; these are too few to judge by, 20 would do"
    )


def test_predictions_hold_about_as_often_as_they_say():
    """Lengths are drawn as the estimates say, and the starts are compared with what was told."""
    from random import Random

    from swiftletd.gpu.domain.durations import draw
    from swiftletd.gpu.domain.forecast import Fate, forecast

    random, record = Random(5), []
    for world in range(60):
        lengths = [100.0 * 3 ** random.random() for _ in range(6)]
        entries = [
            replace(entry(f"e{n}", at=NOW + n), estimate=Estimate(s, 1.6 * s, Source.HISTORY))
            for n, s in enumerate(lengths)
        ]
        told = predict(seen([gpu()]), WaitingQueue(POLICY, entries), NOW, POLICY, Effort(seed=world))
        luck = Random(1000 + world)
        real = {
            one.id: draw(one.estimate.p50_s, one.estimate.p90_s, luck.uniform(0.001, 0.999))
            for one in entries
        }
        fate = Fate(until=lambda _: NOW, length=lambda one, real=real: real[one.id])
        starts = forecast(seen([gpu()]), entries, NOW, POLICY, fate)
        record += [
            Kept(told[name].p50, told[name].p90, start.at) for name, start in starts.items() if start.at > NOW
        ]
    found = score(record, last=1000)
    assert 0.35 < found.by_p50 < 0.65
    assert 0.75 < found.by_p90 < 0.98
