"""What holds after every pass, whatever came before: jobs come and go, move, hold, devices fail."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from swiftletd.gpu.domain.device import DeviceKind, Health
from swiftletd.gpu.domain.entry import EntryKind
from swiftletd.gpu.domain.forecast import begun
from swiftletd.gpu.domain.policy import FairShare, Ordering, Policy, Quota
from swiftletd.gpu.domain.schedule import schedule
from swiftletd.gpu.domain.snapshot import Snapshot
from swiftletd.gpu.domain.waiting import WaitingQueue
from unit.gpu.builders import GIB, NOW, entry, exactly, gpu, stranger

QUOTAS = {"a": Quota(max_gpus=3), "b": Quota(max_jobs=2)}
policies = st.builds(
    Policy,
    ordering=st.sampled_from(Ordering),
    backfill=st.booleans(),
    max_shares=st.integers(1, 3),
    share_reserve_mib=st.sampled_from([0, GIB]),
    quotas=st.sampled_from([{}, QUOTAS]),
    fair_share=st.sampled_from([None, FairShare()]),
)
DEVICES = (
    *(gpu("m0", index, island=str(index // 2)) for index in range(4)),
    *(gpu("m1", index, name="L4", gib=24) for index in range(3)),
    *(gpu("m2", index, kind=DeviceKind.MIG, gib=40) for index in range(2)),
)
devices = st.sampled_from([device.uuid for device in DEVICES])
durations = st.sampled_from([None, 10.0, 60.0, 600.0, 3600.0])
whole = st.fixed_dictionaries(
    {
        "gpus": st.sampled_from([1, 1, 2, 2, 3, 4, 5, 6]),
        "gpu_name": st.sampled_from(["", "", "", "h100", "L4", "B200"]),
        "memory_mib": st.sampled_from([None, None, 20 * GIB, 60 * GIB]),
        "min_memory_mib": st.sampled_from([0, 30 * GIB]),
        "same_machine": st.booleans(),
        "time_limit_s": st.sampled_from([None, 120.0]),
        "earliest_start": st.sampled_from([0.0, 0.0, 0.0, NOW + 300]),
    }
)
# A few sizes fill a device to the last MiB, or miss it by one.
shared = st.fixed_dictionaries(
    {
        "gpus": st.integers(1, 3),
        "memory_mib": st.sampled_from([5 * GIB, 12 * GIB, 12 * GIB + 1, 40 * GIB, 40 * GIB + 1]),
        "shared": st.just(True),
        "same_machine": st.booleans(),
    }
)
gangs = st.fixed_dictionaries({"gpus": st.integers(3, 7), "same_machine": st.booleans()})
arrivals = st.tuples(
    whole | shared | gangs,
    durations,
    st.integers(0, 10),
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(EntryKind),
    st.integers(0, 9),
)


class Cluster(RuleBasedStateMachine):
    """A cluster as the GPU service would drive it: every pass is applied, then checked."""

    entries = Bundle("entries")

    @initialize(policy=policies)
    def start(self, policy):
        self.policy, self.now, self.number = policy, NOW, 0
        self.devices = {device.uuid: device for device in DEVICES}
        self.queue = WaitingQueue(policy)
        self.holdings = {}

    def snapshot(self):
        return Snapshot(devices=tuple(self.devices.values()), holdings=tuple(self.holdings.values()))

    @rule(target=entries, wanted=st.lists(arrivals, min_size=1, max_size=8), at_once=st.booleans())
    def enqueue(self, wanted, at_once):
        names = []
        for request, takes, priority, project, kind, held in wanted:
            self.number += 1
            made = entry(
                f"e{self.number}",
                takes=takes,
                at=self.now,
                priority=priority,
                project=project,
                kind=kind,
                held=held == 9,
                **request,
            )
            self.queue.add(made)
            names.append(made.id)
        if at_once:
            self.make_a_pass()
        return multiple(*names)

    @rule(entry_id=entries, priority=st.integers(0, 10), held=st.booleans(), takes=durations)
    def change(self, entry_id, priority, held, takes):
        if entry_id in self.queue:
            old = self.queue.get(entry_id)
            known = None if takes is None else exactly(takes)
            self.queue.replace(replace(old, priority=priority, held=held, estimate=known))

    @rule(entry_id=consumes(entries), at_once=st.booleans())
    def leave(self, entry_id, at_once):
        if entry_id in self.queue:
            self.queue.remove(entry_id)
        self.holdings.pop(entry_id, None)
        if at_once:
            self.make_a_pass()

    @rule(uuid=devices, health=st.sampled_from([Health.HEALTHY, Health.HEALTHY, Health.LOST, Health.FAILED]))
    def heal_or_break(self, uuid, health):
        self.devices[uuid] = replace(self.devices[uuid], health=health)

    @rule(uuid=devices, gib=st.sampled_from([0, 0, 0, 1, 10, 30, 70]))
    def stranger_comes_or_goes(self, uuid, gib):
        here = (stranger(gib),) if gib else ()
        self.devices[uuid] = replace(self.devices[uuid], occupants=here)

    @rule(seconds=st.sampled_from([1.0, 100.0, 1000.0]))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def make_a_pass(self):
        before = self.snapshot()
        self.plan = schedule(before, self.queue, self.now, self.policy)
        again = schedule(before, self.queue, self.now, self.policy)
        assert (again.grants, again.reservations) == (self.plan.grants, self.plan.reservations)
        for grant in self.plan.grants:
            self.check_grant(grant)
            self.check_room_is_left_for_strangers(grant)
        self.check_everybody_else_is_told_why()
        for grant in self.plan.grants:
            waiting = self.queue.remove(grant.entry_id)
            self.holdings[waiting.id] = begun(waiting, grant, self.now, self.policy)

    def check_grant(self, grant):
        waiting = self.queue.get(grant.entry_id)
        request = waiting.request
        given = [self.devices[share.device] for share in grant.shares]
        assert len({device.uuid for device in given}) == request.gpus == len(given)
        assert not waiting.held
        assert all(device.health is Health.HEALTHY for device in given)
        assert all(self.strangers_leave_enough(device) for device in given)
        assert len(given) == 1 or all(device.kind is not DeviceKind.MIG for device in given)
        assert request.earliest_start <= self.now
        for device in given if request.shared else ():
            held = [s for h in self.holdings.values() for s in h.lease.shares if s.device == device.uuid]
            new = sum(s.device == device.uuid for g in self.plan.grants for s in g.shares)
            assert len(held) + new <= self.policy.max_shares
        assert all(request.gpu_name.casefold() in device.name.casefold() for device in given)
        needed = max(request.memory_mib or 0, request.min_memory_mib)
        assert all(device.memory_mib >= needed for device in given)
        assert all(
            share.memory_mib == (request.memory_mib if request.shared else None) for share in grant.shares
        )
        if request.same_machine:
            assert len({device.machine for device in given}) == 1

    @staticmethod
    def strangers_leave_enough(device):
        """The stated rule: at most 0.3 of the memory, and 20 GiB (of a small device nine tenths) free."""
        theirs = sum(one.memory_mib for one in device.occupants)
        if not theirs:
            return True
        left = device.memory_mib - theirs
        return theirs <= 0.3 * device.memory_mib and left >= min(20 * GIB, 0.9 * device.memory_mib)

    def check_room_is_left_for_strangers(self, grant):
        """When a share is given, all shares of the device fit beside the strangers that are there."""
        for share in grant.shares:
            device = self.devices[share.device]
            before = [s for h in self.holdings.values() for s in h.lease.shares if s.device == share.device]
            new = [s for g in self.plan.grants for s in g.shares if s.device == share.device]
            taken = sum(one.memory_mib or 0 for one in (*before, *new))
            assert taken + device.foreign_mib <= device.memory_mib - self.policy.share_reserve_mib

    def check_everybody_else_is_told_why(self):
        gone = {grant.entry_id for grant in self.plan.grants}
        assert set(self.plan.reasons) == set(self.queue) - gone
        assert len(self.plan.reasons) == len(set(self.queue) - gone)
        for reason in self.plan.reasons.values():
            assert reason.sentence().strip()

    @invariant()
    def no_device_is_given_twice(self):
        memory, owners, tenants = Counter(), Counter(), Counter()
        for held in self.holdings.values():
            for share in held.lease.shares:
                memory[share.device] += share.memory_mib or 0
                owners[share.device] += share.memory_mib is None
                tenants[share.device] += 1
        for uuid, count in tenants.items():
            assert owners[uuid] == 0 or count == 1
            assert count <= self.policy.max_shares or owners[uuid] == count == 1
            assert memory[uuid] <= self.devices[uuid].memory_mib - self.policy.share_reserve_mib

    @invariant()
    def no_project_holds_more_than_its_quota(self):
        gpus, jobs = defaultdict(int), defaultdict(int)
        for held in self.holdings.values():
            gpus[held.project] += len(held.lease.shares)
            jobs[held.project] += 1
        for project, quota in self.policy.quotas.items():
            assert quota.max_gpus is None or gpus[project] <= quota.max_gpus
            assert quota.max_jobs is None or jobs[project] <= quota.max_jobs

    @invariant()
    def positions_and_order_agree(self):
        order = [waiting.id for waiting in self.queue.in_order()]
        assert [self.queue.position(entry_id) for entry_id in order] == list(range(1, len(order) + 1))


Cluster.TestCase.settings = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)
TestCluster = Cluster.TestCase
