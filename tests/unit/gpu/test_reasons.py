"""Why an entry still waits, in words and numbers."""

from __future__ import annotations

import pytest

from swiftletd.gpu.domain.durations import Grounds, Source
from swiftletd.gpu.domain.entry import EntryKind
from swiftletd.gpu.domain.policy import Policy, Quota
from swiftletd.gpu.domain.reason import SENTENCES, Blocker, Code, Reason, span
from unit.gpu.builders import GIB, NOW, Health, entry, gpu, holding, machine, plan, stranger


def why(devices, asked, *, holdings=(), **more):
    return plan(devices, [asked], holdings=holdings, **more).reasons[asked.id]


def test_busy_tells_who_ends_when_and_what_that_frees():
    running = [holding("x", ["m0/0", "m0/1"], ends_in=720), holding("y", ["m0/2"], ends_in=9000)]
    reason = why(machine(gpus=5), entry(gpus=4, memory_mib=80 * GIB), holdings=running)
    assert reason.code is Code.BUSY
    assert (reason.free, reason.machine, reason.wait_s) == (2, "m0", 720)
    assert reason.blockers == (Blocker("x", 2, 720),)
    assert reason.sentence() == (
        "needs 4 GPUs of 80 GiB on one machine; 2 are free on m0; job x, which ends in about 12 min, frees 2"
    )


def test_the_time_of_a_blocker_says_what_it_rests_on():
    told = holding("x", ["m0/0"], ends_in=720, grounds=Grounds(Source.HISTORY, 4))
    assert (
        "job x, which ends in about 12 min (4 similar jobs), frees 1"
        in why([gpu()], entry(), holdings=[told]).sentence()
    )
    unknown = why([gpu()], entry(), holdings=[holding("x", ["m0/0"])])
    assert "job x, which ends in about 24 h (a guess), frees 1" in unknown.sentence()
    late = why([gpu()], entry(), holdings=[holding("x", ["m0/0"], ends_in=-1, since=NOW - 6000)])
    assert "job x, which ends in about 10 min (it is overdue), frees 1" in late.sentence()


def test_a_blocker_that_starts_in_the_same_pass_says_what_its_end_rests_on():
    made = plan([gpu()], [entry("a", time_limit_s=600.0), entry("b", at=NOW + 1)])
    assert "(its time limit)" in made.reasons["b"].sentence()
    usual = Policy(limit_part=0.5, limit_jobs=40)
    made = plan([gpu()], [entry("a", time_limit_s=600.0), entry("b", at=NOW + 1)], policy=usual)
    assert (
        "job job-a, which ends in about 5 min (40 other jobs and its time limit)"
        in made.reasons["b"].sentence()
    )


def test_many_blockers_are_counted_not_listed():
    running = [holding(f"j{n}", [f"m0/{n}"], ends_in=100 + n) for n in range(8)]
    reason = why(machine(gpus=8), entry(gpus=8), holdings=running)
    assert len(reason.blockers) == 8
    assert reason.sentence().endswith("; and 5 more jobs")


def test_an_endless_job_in_the_way_has_no_time():
    served = holding("chat", ["m0/0"], kind=EntryKind.DEPLOY)
    reason = why(machine(gpus=2), entry(gpus=2), holdings=[served])
    assert reason.blockers == (Blocker("chat", 1, None),)
    assert reason.wait_s is None
    assert "whose end is not known" in reason.sentence()


def test_the_machine_with_the_fewest_endless_jobs_is_named():
    served = [
        holding("a", ["m0/0"], kind=EntryKind.DEPLOY),
        holding("b", ["m0/1"], kind=EntryKind.DEPLOY),
        holding("c", ["m1/0"], kind=EntryKind.DEPLOY),
    ]
    devices = [*machine("m0", gpus=2), *machine("m1", gpus=2)]
    reason = why(devices, entry(gpus=2), holdings=served)
    assert [blocker.job_id for blocker in reason.blockers] == ["c"]
    spread = why(devices, entry(gpus=2, same_machine=False), holdings=[*served, holding("d", ["m1/1"])])
    assert {blocker.job_id for blocker in spread.blockers} == {"a", "b", "c"}


def test_free_devices_on_different_machines_are_fragmented():
    running = [holding("x", ["m0/0"], ends_in=60), holding("y", ["m1/0"], ends_in=90)]
    devices = [*machine("m0", gpus=2), *machine("m1", gpus=2)]
    reason = why(devices, entry(gpus=2), holdings=running)
    assert reason.code is Code.FRAGMENTED
    assert reason.sentence().startswith("needs 2 GPUs on one machine; 2 are free, but at most 1 on m0; job x")


def test_a_kind_that_is_not_here():
    reason = why([gpu()], entry(gpu_name="B200"))
    assert reason.code is Code.NO_SUCH_DEVICE
    assert reason.sentence() == (
        "needs 1 B200 GPU; no device here is of that kind: there is 1 H100 of 80 GiB"
    )
    several = why([*machine(gpus=3), gpu("m1", name="L4", gib=24)], entry(gpu_name="B200"))
    assert several.sentence().endswith(": there are 3 H100 of 80 GiB, 1 L4 of 24 GiB")


def test_more_than_there_are():
    reason = why([*machine("m0", gpus=4), *machine("m1", gpus=4)], entry(gpus=6))
    assert (reason.code, reason.exist) == (Code.TOO_FEW_DEVICES, 4)
    assert reason.sentence() == "needs 6 GPUs on one machine; at most 4 are on one machine"
    apart = why(machine(gpus=4), entry(gpus=6, same_machine=False))
    assert apart.sentence() == "needs 6 GPUs; only 4 exist here"


def test_some_are_out_of_service():
    devices = [gpu(index=0), gpu(index=1, health=Health.LOST)]
    reason = why(devices, entry(gpus=2))
    assert (reason.code, reason.exist, reason.free) == (Code.UNHEALTHY, 2, 1)
    assert reason.sentence() == "needs 2 GPUs on one machine; of 2, only 1 is in service"


def test_a_stranger_is_named():
    devices = [gpu(index=0, occupants=(stranger(30.2),)), gpu(index=1)]
    reason = why(devices, entry(gpus=2))
    assert (reason.code, reason.free) == (Code.STRANGER, 1)
    assert reason.sentence() == (
        "needs 2 GPUs on one machine; 1 is free. GPU 0 of m0 is busy: pid 4711 (python) of user x, 30.2 GiB"
    )


def test_beside_a_stranger_the_job_that_may_end_sooner_is_named():
    devices = [gpu(index=0, occupants=(stranger(30.2),)), gpu(index=1)]
    reason = why(devices, entry(), holdings=[holding("x", ["m0/1"], ends_in=720)])
    assert (reason.code, reason.wait_s) == (Code.STRANGER, 720)
    assert reason.sentence() == (
        "needs 1 GPU; none are free; job x, which ends in about 12 min, frees 1. "
        "GPU 0 of m0 is busy: pid 4711 (python) of user x, 30.2 GiB"
    )


def test_many_strangers_are_counted():
    devices = [gpu(index=index, occupants=(stranger(40),)) for index in range(5)]
    assert why(devices, entry(gpus=5)).sentence().endswith(". So are 2 more")


def test_a_stranger_on_a_device_that_would_not_do_anyway_is_not_blamed():
    devices = [gpu(index=0), gpu(index=1, name="L4", gib=24, occupants=(stranger(20),))]
    running = holding("x", ["m0/0"], ends_in=60)
    assert why(devices, entry(gpu_name="h100"), holdings=[running]).code is Code.BUSY


def test_a_share_says_how_much_room_it_needs():
    running = holding("x", ["m0/0"], ends_in=60)
    reason = why([gpu()], entry(shared=True, memory_mib=16 * GIB), holdings=[running])
    assert reason.sentence().startswith("needs 1 GPU with 16 GiB free; none are free; job x")


def test_quotas_are_told_with_their_numbers():
    mine = holding("x", ["m0/0"], ends_in=60, project="a")
    gpus = Policy(default_quota=Quota(max_gpus=2))
    reason = why(machine(gpus=4), entry(gpus=2, project="a"), holdings=[mine], policy=gpus)
    assert reason.sentence().endswith("its project may use 2 at a time, and uses 1")
    jobs = Policy(default_quota=Quota(max_jobs=1))
    reason = why(machine(gpus=4), entry(project="a"), holdings=[mine], policy=jobs)
    assert reason.sentence() == "its project may run 1 job at a time, and runs 1"


def test_what_is_missing_for_good_is_said_before_the_quota():
    policy = Policy(default_quota=Quota(max_gpus=0))
    assert why([gpu()], entry(gpu_name="B200"), policy=policy).code is Code.NO_SUCH_DEVICE


def test_an_entry_that_came_after_the_pass_is_for_the_next_one():
    from swiftletd.gpu.domain.schedule import schedule
    from swiftletd.gpu.domain.snapshot import Snapshot
    from swiftletd.gpu.domain.waiting import WaitingQueue

    queue = WaitingQueue(Policy())
    made = schedule(Snapshot(devices=(gpu(),)), queue, NOW, Policy())
    queue.add(entry("late"))
    assert made.reasons["late"].code is Code.BEHIND
    assert made.reasons["late"].sentence() == "would fit now; the next pass looks at it"


def test_the_time_to_the_reservation_is_told():
    running = holding("long", ["m0/0"], ends_in=600)
    made = plan(machine(gpus=2), [entry("big", gpus=2), entry("small", at=NOW + 1)], holdings=[running])
    assert made.reasons["small"].sentence() == (
        "would fit now, but would delay job job-big, which is to start in about 10 min"
    )


def test_every_code_has_a_sentence():
    assert set(SENTENCES) == set(Code)
    assert all(Reason(code=code, gpus=1).sentence() for code in Code)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-1, "0 s"), (0.4, "0 s"), (90, "90 s"), (720, "12 min"), (7200, "2 h"), (86_400 * 3, "3 days")],
)
def test_times_are_told_as_exactly_as_they_are_known(seconds, said):
    assert span(seconds) == said
