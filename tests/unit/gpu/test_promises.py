"""What the scheduler promises over time, on random workloads whose estimates hold."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from swiftletd.gpu.domain.forecast import begun
from swiftletd.gpu.domain.policy import Ordering, Policy
from swiftletd.gpu.domain.ranking import rank
from swiftletd.gpu.domain.schedule import schedule
from swiftletd.gpu.domain.snapshot import Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue
from unit.gpu.builders import NOW, entry, gpu, machine

TWO_MACHINES = (*machine("m0", gpus=4), *machine("m1", gpus=4))
jobs = st.tuples(
    st.integers(0, 2000), st.integers(1, 4), st.integers(1, 900), st.booleans(), st.integers(0, 10)
)
workloads = st.lists(jobs, min_size=1, max_size=25)
calm = settings(max_examples=120, deadline=None)


def live(entries, devices, policy):
    """Runs the entries to their ends, all as long as estimated; yields each pass and its time."""
    coming = sorted(entries, key=lambda one: one.enqueued_at, reverse=True)
    queue, running = WaitingQueue(policy), {}
    while coming or running:
        times = [coming[-1].enqueued_at] if coming else []
        now = min([*times, *(end for end, _ in running.values())])
        running = {name: pair for name, pair in running.items() if pair[0] > now}
        while coming and coming[-1].enqueued_at <= now:
            queue.add(coming.pop())
        held = tuple(holding for _, holding in running.values())
        plan = schedule(Snapshot(devices=devices, holdings=held), queue, now, policy)
        yield now, plan, [queue.get(grant.entry_id) for grant in plan.grants], queue
        for grant in plan.grants:
            started = queue.remove(grant.entry_id)
            running[started.id] = (now + started.estimate.p50_s, begun(started, grant, now, policy))


def made_of(workload, *, urgent=False):
    return [
        entry(f"e{n:02}", at=NOW + at, gpus=gpus, takes=takes, same_machine=one, priority=urgent * priority)
        for n, (at, gpus, takes, one, priority) in enumerate(workload)
    ]


@calm
@given(workloads)
def test_a_reservation_is_never_delayed_by_those_who_use_the_gap(workload):
    promised, started = {}, {}
    for now, plan, grants, _ in live(made_of(workload), TWO_MACHINES, Policy()):
        started.update({one.id: now for one in grants})
        for kept in plan.reservations:
            promised.setdefault(kept.entry_id, kept.start_at)
    assert all(started[entry_id] <= at for entry_id, at in promised.items())


@calm
@given(workloads, st.sampled_from(Ordering), st.booleans())
def test_everybody_starts_in_the_end(workload, ordering, backfill):
    policy = Policy(ordering=ordering, backfill=backfill)
    entries = made_of(workload, urgent=True)
    started = [one.id for _, _, grants, _ in live(entries, TWO_MACHINES, policy) for one in grants]
    assert sorted(started) == sorted(one.id for one in entries)


@calm
@given(workloads)
def test_equal_requests_of_equal_priority_start_in_the_order_in_which_they_came(workload):
    started = {}
    for now, _, grants, _ in live(made_of(workload), TWO_MACHINES, Policy()):
        started.update({one.id: (now, one) for one in grants})
    alike = {}
    for now, one in started.values():
        alike.setdefault((one.request, one.estimate), []).append((one.enqueued_at, now))
    for pairs in alike.values():
        assert all(before[1] <= after[1] for before, after in pairwise(sorted(pairs)))


@calm
@given(workloads)
def test_all_start_at_once_when_all_fit(workload):
    devices = machine("m0", gpus=4 * len(workload))
    for now, _, grants, queue in live(made_of(workload), devices, Policy()):
        assert {one.id for one in grants} == set(queue)
        assert all(one.enqueued_at == now for one in grants)


@calm
@given(workloads)
def test_without_backfill_the_start_follows_the_rank(workload):
    policy = Policy(backfill=False)
    for _, _, grants, queue in live(made_of(workload, urgent=True), TWO_MACHINES, policy):
        gone = {one.id for one in grants}
        left = [rank(queue.get(entry_id), policy) for entry_id in queue if entry_id not in gone]
        assert all(rank(one, policy) < other for one in grants for other in left)


@given(st.integers(0, 10), st.integers(0, 10), st.floats(0, 1e7))
def test_nobody_is_overtaken_by_those_who_came_later_than_priority_is_worth(mine, other, later):
    policy = Policy(age_step_s=3600)
    me = entry("me", priority=mine, at=NOW)
    newcomer = entry("newcomer", priority=other, at=NOW + later)
    if later > (other - mine) * policy.age_step_s:
        assert rank(me, policy) < rank(newcomer, policy)


def test_a_steady_stream_of_urgent_jobs_does_not_starve_a_patient_one():
    policy = Policy(age_step_s=100)
    urgent = [entry(f"u{n:03}", at=NOW + 50 * n, takes=60, priority=10) for n in range(100)]
    patient = entry("patient", at=NOW + 1, takes=60)
    begun_at = {
        one.id: now for now, _, grants, _ in live([patient, *urgent], (gpu(),), policy) for one in grants
    }
    ahead = [one for one in urgent if one.enqueued_at < NOW + 1 + 10 * 100]
    assert begun_at["patient"] <= NOW + 60 * (len(ahead) + 1)


def test_a_large_job_is_not_starved_by_a_stream_of_small_ones():
    policy = Policy(ordering=Ordering.SHORTEST_SERVICE, stretch=4)
    small = [entry(f"s{n:03}", at=NOW + 40 * n, takes=100) for n in range(300)]
    large = entry("large", at=NOW + 1, gpus=2, takes=500)
    begun_at = {
        one.id: now for now, _, grants, _ in live([large, *small], machine(gpus=2), policy) for one in grants
    }
    ahead = 4 * (2 * 500 - 100)
    assert begun_at["large"] <= NOW + 1 + ahead + (ahead / 40 * 100) / 2
