"""The queue itself: order, places, moves, sleepers, and how little a long one costs."""

from __future__ import annotations

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.gpu.domain.policy import Ordering, Policy, Quota
from swiftletd.gpu.domain.ranking import rank
from swiftletd.gpu.domain.waiting import QueueError, WaitingQueue
from unit.gpu.builders import NOW, entry, exactly


def queue_of(*entries, policy=None):
    return WaitingQueue(policy or Policy(), entries)


def order(queue, **more):
    return [one.id for one in queue.in_order(**more)]


def test_places_count_from_one_in_the_order_of_service():
    queue = queue_of(entry("b", at=NOW), entry("a", at=NOW - 1, gpus=2), entry("urgent", at=NOW, priority=9))
    assert order(queue) == ["urgent", "a", "b"]
    assert [queue.position(name) for name in ("urgent", "a", "b")] == [1, 2, 3]


def test_a_move_changes_the_place_and_keeps_the_arrival():
    queue = queue_of(entry("a", at=NOW), entry("b", at=NOW + 1))
    queue.replace(replace(queue.get("b"), priority=5))
    assert order(queue) == ["b", "a"]
    queue.replace(replace(queue.get("b"), priority=0))
    assert order(queue) == ["a", "b"]


def test_an_entry_on_hold_has_no_place_until_it_is_released():
    queue = queue_of(entry("a", at=NOW, held=True), entry("b", at=NOW + 1))
    assert (queue.position("a"), queue.position("b")) == (None, 1)
    queue.replace(replace(queue.get("a"), held=False))
    assert (queue.position("a"), queue.position("b")) == (1, 2)


def test_a_sleeper_has_no_place_until_its_time():
    queue = queue_of(entry("later", at=NOW - 9, earliest_start=NOW + 60), entry("b"))
    assert queue.position("later") is None
    assert queue.next_wake() == NOW + 60
    assert [one.id for one in queue.sleeping(9)] == ["later"]
    queue.wake(NOW + 60)
    assert order(queue) == ["later", "b"]
    assert queue.next_wake() is None


def test_a_sleeper_can_leave_and_can_be_put_on_hold():
    queue = queue_of(entry("a", earliest_start=NOW + 60), entry("b", earliest_start=NOW + 60))
    queue.remove("a")
    queue.replace(replace(queue.get("b"), held=True))
    queue.wake(NOW + 61)
    assert order(queue) == []
    assert list(queue) == ["b"]


def test_an_entry_is_there_once():
    queue = queue_of(entry("a"))
    with pytest.raises(QueueError, match="a is in the queue already"):
        queue.add(entry("a"))
    queue.remove("a")
    for gone in (queue.get, queue.remove, queue.position):
        with pytest.raises(QueueError, match="a is not in the queue"):
            gone("a")
    assert "a" not in queue
    assert not list(queue.groups())


def test_a_handicap_shifts_a_whole_project():
    policy = Policy(default_quota=Quota(max_jobs=9))
    queue = queue_of(entry("a", project="p", at=NOW), entry("b", project="q", at=NOW + 5), policy=policy)
    assert order(queue, handicaps={"p": 10.0}) == ["b", "a"]
    assert queue.position("a", handicaps={"p": 10.0}) == 2


def test_entries_that_ask_the_same_are_one_group_however_many():
    alike = [entry(f"e{n}", at=NOW + n, takes=100 + n / 10, priority=n % 11) for n in range(200)]
    (group,) = queue_of(*alike).groups()
    assert len(group.order) == 200
    assert group.at_least_s <= 100 < 120 <= group.at_most_s


def test_projects_share_groups_unless_the_policy_tells_them_apart():
    entries = [entry("a", project="p"), entry("b", project="q")]
    assert len(list(queue_of(*entries).groups())) == 1
    assert len(list(queue_of(*entries, policy=Policy(quotas={"p": Quota(max_gpus=1)})).groups())) == 2


def test_unknown_lengths_are_a_group_of_their_own():
    (group,) = queue_of(entry("a")).groups()
    assert group.at_most_s == group.at_least_s == inf


@given(
    st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10**6), st.sampled_from([1, 2, 8])), max_size=40),
    st.sampled_from(Ordering),
)
def test_the_order_is_that_of_the_ranks(rows, ordering):
    policy = Policy(ordering=ordering, stretch=3.0)
    entries = [
        entry(f"e{n:02}", priority=priority, at=NOW + at, gpus=gpus, takes=at % 977 + 1)
        for n, (priority, at, gpus) in enumerate(rows)
    ]
    ranked = sorted(entries, key=lambda one: rank(one, policy))
    assert order(queue_of(*entries, policy=policy)) == [one.id for one in ranked]


def test_a_long_job_loses_no_more_than_the_policy_says():
    policy = Policy(ordering=Ordering.SHORTEST_SERVICE, stretch=4.0, max_delay_s=1000.0)
    long = replace(entry("long", gpus=8), estimate=exactly(1e6))
    assert rank(long, policy)[0] == NOW + 1000
    assert rank(entry("short", takes=10), policy)[0] == NOW + 40
