"""Stories of single passes: who goes first, who may overtake, and what is kept for whom."""

from __future__ import annotations

from math import inf

import pytest

from swiftletd.gpu.domain.entry import EntryKind
from swiftletd.gpu.domain.policy import DAY_S, FairShare, Ordering, Policy, Quota
from swiftletd.gpu.domain.reason import Code
from swiftletd.gpu.domain.snapshot import Usage
from unit.gpu.builders import NOW, devices_of, entry, gpu, granted, holding, machine, plan

STRICT = Policy(backfill=False)


def test_everybody_starts_when_all_fit():
    made = plan(machine(gpus=4), [entry("a"), entry("b", gpus=2), entry("c")])
    assert granted(made) == ["a", "b", "c"]
    assert len({share.device for grant in made.grants for share in grant.shares}) == 4
    assert not made.reservations
    assert not made.reasons


def test_equal_priorities_are_first_come_first_served():
    made = plan([gpu()], [entry("late", at=NOW - 1), entry("early", at=NOW - 2)])
    assert granted(made) == ["early"]


def test_the_more_urgent_goes_first():
    made = plan([gpu()], [entry("first", at=NOW - 60), entry("urgent", at=NOW, priority=1)])
    assert granted(made) == ["urgent"]


def test_a_level_of_priority_is_worth_one_step_of_waiting():
    patient = entry("patient", at=NOW - DAY_S - 1)
    assert granted(plan([gpu()], [patient, entry("urgent", at=NOW, priority=1)])) == ["patient"]
    assert granted(plan([gpu()], [patient, entry("urgent", at=NOW, priority=2)])) == ["urgent"]


def test_a_gang_starts_as_a_whole_or_not_at_all():
    made = plan(machine(gpus=3), [entry("gang", gpus=4)])
    assert granted(made) == []


def test_the_head_of_the_queue_gets_a_reservation():
    running = holding("long", ["m0/0"], ends_in=600)
    made = plan(machine(gpus=2), [entry("big", gpus=2)], holdings=[running])
    (kept,) = made.reservations
    assert (kept.entry_id, kept.start_at, kept.devices) == ("big", NOW + 600, {"m0/0", "m0/1"})


def test_a_small_job_uses_the_gap_only_if_it_ends_in_time():
    running = holding("long", ["m0/0"], ends_in=600)
    big, brief, slow = entry("big", gpus=2), entry("brief", takes=600, at=NOW + 2), entry("slow", takes=601)
    assert granted(plan(machine(gpus=2), [big, brief, slow], holdings=[running])) == ["brief"]


def test_a_full_cluster_gives_and_keeps_nothing_and_still_tells_why():
    running = [holding("x", ["m0/0", "m0/1"], ends_in=600)]
    made = plan(machine(gpus=2), [entry("a", gpus=2), entry("b", at=NOW + 1)], holdings=running)
    assert (made.grants, made.reservations) == ((), ())
    assert [made.reasons[name].wait_s for name in "ab"] == [600, 600]


def test_a_job_of_unknown_length_never_uses_the_gap():
    running = holding("long", ["m0/0"], ends_in=600)
    made = plan(machine(gpus=2), [entry("big", gpus=2), entry("unknown", at=NOW + 1)], holdings=[running])
    assert granted(made) == []
    assert made.reasons["unknown"].code is Code.RESERVED
    assert made.reasons["unknown"].ahead == "job-big"


def test_a_job_of_any_length_may_use_what_nobody_has_reserved():
    running = holding("long", ["m0/0"], ends_in=600)
    free = [*machine("m0", gpus=2), *machine("m1", gpus=1)]
    made = plan(free, [entry("big", gpus=2), entry("endless", at=NOW + 1)], holdings=[running])
    assert devices_of(made, "endless") == ["m1/0"]


def test_the_reservation_takes_held_devices_and_leaves_the_free_one_to_others():
    running = [holding("a", ["m0/0"], ends_in=600), holding("b", ["m0/1"], ends_in=600)]
    made = plan(machine(gpus=3), [entry("pair", gpus=2), entry("one", at=NOW + 1)], holdings=running)
    assert made.reservations[0].devices == {"m0/0", "m0/1"}
    assert devices_of(made, "one") == ["m0/2"]


def test_nothing_is_kept_for_a_job_that_waits_for_an_endless_one():
    served = holding("chat", ["m0/0"], kind=EntryKind.DEPLOY)
    made = plan(machine(gpus=2), [entry("big", gpus=2), entry("small", at=NOW + 1)], holdings=[served])
    assert granted(made) == ["small"]
    assert made.reservations == ()


def test_each_kind_of_device_has_a_reservation_of_its_own():
    running = [holding("a", ["m0/0"], ends_in=600), holding("b", ["m1/0"], ends_in=900)]
    devices = [*machine("m0", gpus=2), *machine("m1", gpus=2, name="A100")]
    waiting = [entry("h", gpus=2, gpu_name="h100"), entry("a", gpus=2, gpu_name="a100", at=NOW + 1)]
    made = plan(devices, waiting, holdings=running)
    assert {kept.entry_id: kept.start_at - NOW for kept in made.reservations} == {"h": 600, "a": 900}


def test_without_backfill_nobody_passes_the_head():
    running = holding("long", ["m0/0"], ends_in=600)
    made = plan(
        machine(gpus=2),
        [entry("big", gpus=2), entry("brief", takes=1, at=NOW + 1)],
        holdings=[running],
        policy=STRICT,
    )
    assert granted(made) == []
    assert made.reasons["brief"].code is Code.BEHIND


def test_what_can_never_run_does_not_stop_the_queue():
    for policy in (Policy(), STRICT):
        made = plan([gpu()], [entry("huge", gpus=64), entry("small", at=NOW + 1)], policy=policy)
        assert granted(made) == ["small"]


def test_an_entry_on_hold_waits_and_the_next_one_goes():
    made = plan([gpu()], [entry("held", held=True), entry("next", at=NOW + 1)])
    assert granted(made) == ["next"]
    assert made.reasons["held"].code is Code.HELD


def test_an_entry_waits_for_its_earliest_start():
    later = entry("later", earliest_start=NOW + 60)
    assert plan([gpu()], [later]).reasons["later"].code is Code.NOT_BEFORE
    assert granted(plan([gpu()], [later], now=NOW + 60)) == ["later"]


def test_a_stopped_queue_grants_nothing_and_says_so():
    made = plan([gpu()], [entry("a")], processing=False)
    assert granted(made) == []
    assert made.reasons["a"].code is Code.STOPPED


@pytest.mark.parametrize(
    ("quota", "code"), [(Quota(max_jobs=1), Code.QUOTA_JOBS), (Quota(max_gpus=2), Code.QUOTA_GPUS)]
)
def test_a_project_over_its_quota_waits_and_others_do_not(quota, code):
    policy = Policy(quotas={"a": quota})
    waiting = [entry("one", gpus=2, project="a"), entry("two", project="a"), entry("other", project="b")]
    made = plan(machine(gpus=8), waiting, policy=policy)
    assert sorted(granted(made)) == ["one", "other"]
    assert made.reasons["two"].code is code


def test_what_runs_counts_for_the_quota():
    policy = Policy(default_quota=Quota(max_gpus=1))
    running = holding("mine", ["m0/0"], ends_in=600, project="a")
    made = plan(machine(gpus=4), [entry("more", project="a")], holdings=[running], policy=policy)
    assert made.reasons["more"].used == 1


def test_a_project_that_used_much_lately_goes_behind_one_that_did_not():
    fair = Policy(fair_share=FairShare(weight_s=3600, half_life_s=3600))
    use = {"greedy": Usage(1e6, NOW), "modest": Usage(1e3, NOW)}
    waiting = [entry("g", project="greedy", at=NOW - 60), entry("m", project="modest", at=NOW)]
    assert granted(plan([gpu()], waiting, policy=fair, usage=use)) == ["m"]
    assert granted(plan([gpu()], waiting, usage=use)) == ["g"]


def test_fair_share_is_a_bounded_weight():
    fair = Policy(fair_share=FairShare(weight_s=3600))
    use = {"greedy": Usage(1e9, NOW)}
    waiting = [entry("g", project="greedy", at=NOW - 3601), entry("m", project="modest", at=NOW)]
    assert granted(plan([gpu()], waiting, policy=fair, usage=use)) == ["g"]


def test_shortest_service_counts_gpus_and_time():
    policy = Policy(ordering=Ordering.SHORTEST_SERVICE)
    waiting = [entry("wide", gpus=4, takes=100), entry("narrow", takes=300, at=NOW + 1)]
    assert granted(plan(machine(gpus=4), waiting, policy=policy))[0] == "narrow"


def test_an_overdue_job_moves_the_reservation_on_and_does_not_free_anything():
    overdue = holding("late", ["m0/0"], ends_in=-5, since=NOW - 10_000)
    made = plan([gpu()], [entry("next")], holdings=[overdue])
    assert granted(made) == []
    assert made.reasons["next"].wait_s == 1_000


def test_a_time_limit_bounds_what_is_not_known():
    running = holding("long", ["m0/0"], ends_in=600)
    waiting = [entry("big", gpus=2), entry("limited", time_limit_s=600, at=NOW + 1)]
    assert granted(plan(machine(gpus=2), waiting, holdings=[running])) == ["limited"]


def test_the_reason_of_a_granted_entry_is_not_there():
    made = plan([gpu()], [entry("a"), entry("b", at=NOW + 1)])
    assert list(made.reasons) == ["b"]
    with pytest.raises(KeyError):
        made.reasons["a"]
    with pytest.raises(LookupError):
        made.reasons["nobody"]


def test_strict_ageing_can_be_turned_off():
    strict = Policy(age_step_s=1e10)
    waiting = [entry("old", at=NOW - 100 * DAY_S), entry("urgent", at=NOW, priority=1)]
    assert granted(plan([gpu()], waiting, policy=strict)) == ["urgent"]
    assert strict.age_step_s < inf
