"""Two schedulers, operators, withdrawals and kills in any order: what must stay true all the time."""

from __future__ import annotations

import asyncio

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contract.gpu.making import FakeClock
from contract.gpu.memory import MemoryStore
from swiftletd.gpu.domain.policy import Policy, Quota
from swiftletd.gpu.ports import State
from swiftletd.kernel.errors import ServiceError
from unit.gpu_service.service import MIB, Service, gpu

GPUS = 3
QUOTA = Quota(max_gpus=4, max_jobs=3)
process = st.integers(0, 1)
job = st.integers(0, 200)


class Together(RuleBasedStateMachine):
    """`services` are two processes on one store; a killed one starts anew with an empty memory."""

    @initialize()
    def begin(self):
        self.loop = asyncio.new_event_loop()
        self.clock, self.store = FakeClock(), self.make_store()
        self.services = [None, None]
        self.versions = {}
        self.restart(0)
        self.restart(1)

    def make_store(self):
        return MemoryStore()

    def teardown(self):
        if hasattr(self, "loop"):
            self.drain()
            self.loop.close()

    def do(self, work):
        return self.loop.run_until_complete(work)

    @rule(which=process)
    def restart(self, which):
        fresh = Service(
            *(gpu(n) for n in range(GPUS)),
            store=self.store,
            clock=self.clock,
            policy=Policy(default_quota=QUOTA),
        )
        self.services[which] = self.do(fresh.open())

    @rule(which=process, name=job, gpus=st.integers(1, 3), priority=st.integers(0, 10))
    def submit(self, which, name, gpus, priority):
        self.versions[name] = 1
        self.do(self.services[which].submit(f"j{name}", gpus=gpus, priority=priority))

    @rule(which=process, name=job, mib=st.integers(1, MIB))
    def submit_share(self, which, name, mib):
        self.versions[name] = 1
        self.do(self.services[which].submit(f"j{name}", shared=True, memory_mib=mib))

    @rule(which=process)
    def make_pass(self, which):
        self.do(self.services[which].step())

    @rule(names=st.lists(job, min_size=2, max_size=6, unique=True), gpus=st.integers(1, 2))
    def race(self, names, gpus):
        """Each knows of other jobs, and both make a pass before they hear of each other."""
        for which, mine in enumerate((names[::2], names[1::2])):
            self.versions |= dict.fromkeys(mine, 1)
            self.do(self.services[which].submit(*(f"j{name}" for name in mine), gpus=gpus))
        for service in self.services:
            self.do(service.step())

    @rule(which=process)
    def hear(self, which):
        self.do(self.services[which].catch_up())

    @precondition(lambda self: self.versions)
    @rule(which=process, data=st.data())
    def withdraw(self, which, data):
        name = data.draw(st.sampled_from(sorted(self.versions)))
        self.do(self.services[which].intake.withdraw(f"training-j{name}-1", f"j{name}", 2))

    @precondition(lambda self: self.versions)
    @rule(which=process, data=st.data(), what=st.sampled_from(["remove", "hold", "release", "move"]))
    def operate(self, which, data, what):
        name = data.draw(st.sampled_from(sorted(self.versions)))
        desk, more = self.services[which].desk, (5,) if what == "move" else ()
        try:
            self.do(getattr(desk, what)(f"j{name}", *more))
        except ServiceError:
            pass

    @rule(which=process, data=st.data())
    def finish(self, which, data):
        live = sorted(record.id for record in self.store.records.values() if record.live)
        if live:
            run = data.draw(st.sampled_from(live))
            self.clock.at += 10
            self.do(self.services[which].leases.begun([run]))
            self.do(self.services[which].leases.over({run: True}))
            assert not self.store.records[run].live

    @invariant()
    def no_device_is_given_twice(self):
        if not hasattr(self, "store"):
            return
        held = {}
        for record in self.store.records.values():
            for share in record.lease.shares if record.live else ():
                held.setdefault(share.device, []).append(share.memory_mib)
        for shares in held.values():
            assert len(shares) == 1 if None in shares else sum(shares) <= MIB

    @invariant()
    def no_quota_is_passed(self):
        live = [r for r in self.store.records.values() if r.live] if hasattr(self, "store") else []
        assert len(live) <= QUOTA.max_jobs
        assert sum(len(record.lease.shares) for record in live) <= QUOTA.max_gpus

    @invariant()
    def every_event_is_the_next_version_of_its_subject(self):
        seen = {}
        for notice in self.store.notices if hasattr(self, "store") else ():
            if notice.subject.startswith("training-"):
                assert notice.version == seen.get(notice.subject, 0) + 1
                seen[notice.subject] = notice.version

    def drain(self):
        """In the end everybody runs: nothing was forgotten, nothing leaked."""
        one = self.services[0]
        self.do(one.catch_up())
        for _ in range(len(self.store.records) + 2):
            for record in [r for r in self.store.records.values() if r.entry.held]:
                if record.state is State.WAITING:
                    self.do(one.desk.release(record.entry.job_id))
            self.do(one.step())
            self.do(one.leases.over({r.id: True for r in self.store.records.values() if r.live}))
        assert not [r.id for r in self.store.records.values() if r.live or r.state is State.WAITING]
        assert not any(self.store.held.values())


Together.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestTogether = Together.TestCase
