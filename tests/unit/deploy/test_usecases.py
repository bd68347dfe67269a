"""In which order the deploy service deletes, on ports in memory, and what is done later if it is cut off."""

from __future__ import annotations

import pytest

from contract.deploy.memory import MemoryDeploymentStore
from contract.gpu.making import FakeClock
from swiftletd.deploy.domain.decide import submit
from swiftletd.deploy.ports import LaunchFailed, RunReport
from swiftletd.deploy.usecases import Deploying
from swiftletd.kernel.errors import NotFound, WrongState
from swiftletd.kernel.idempotency import UNKEYED
from unit.deploy.test_decide import LEASE, fresh

ENTRY = "deploy-d-1"
LIVES = RunReport(alive=True, launched=True)
ENDED = RunReport(alive=False, launched=True, exit_code=0)


class Outside:
    """One run directory, and all else that the use cases need: what it tells, and what was done to it.

    `dies_at` is the step at which the service dies, `failure` happens before a launch that fails.
    """

    def __init__(self):
        self.tells, self.done, self.directories, self.forgotten = LIVES, [], {}, []
        self.dies_at, self.failure = "", None

    def _do(self, what):
        if what == self.dies_at:
            raise ConnectionError(what)
        self.done.append(what)

    async def launch(self, it):
        if self.failure:
            await self.failure()
            raise LaunchFailed("There is no trainer.")
        self.directories = {it.id: [it.entry(it.attempt.number)]}
        self._do("launch")

    async def stop(self, entry, word="cancelled"):
        self._do("stop")

    async def report(self, entry):
        return self.tells if self.directories else RunReport(alive=False, launched=False)

    async def bury(self, entry):
        self._do("bury")

    async def known(self):
        return self.directories

    async def remove(self, entry):
        self._do("remove")
        self.directories = {}

    async def ended(self, owner, run):
        self._do("ended")

    async def forget(self, owner, runs):
        self._do("forget")
        self.forgotten += runs

    def free(self, port):
        return True

    async def resolve(self, model_path):
        return model_path

    async def publish(self, ports):
        pass


@pytest.fixture
def outside():
    return Outside()


@pytest.fixture
def told():
    """The events in the outbox."""
    return []


@pytest.fixture
def deploying(outside, told):
    return Deploying(
        MemoryDeploymentStore(FakeClock(), told.append),
        outside,
        outside,
        outside,
        outside,
        None,
        FakeClock(),
        ports=range(8001, 8003),
        patience=0,
        start_timeout=60,
        logs=outside,
    )


@pytest.fixture
async def living(deploying):
    """The use cases, and a deployment whose model server lives."""
    await deploying.create(fresh(port=0))
    it = await deploying.get("d")
    await deploying.change("d", submit)
    await deploying.granted("d", it.entry(), LEASE)
    return deploying


async def is_gone(deploying, outside):
    with pytest.raises(NotFound):
        await deploying.get("d")
    return await deploying.store.get("d") is None and not outside.directories


async def test_what_does_not_live_is_forgotten_at_once(deploying, outside):
    await deploying.create(fresh(port=0))
    await deploying.delete("d")
    assert await is_gone(deploying, outside)
    assert await deploying.store.ports() == frozenset()
    with pytest.raises(NotFound):
        await deploying.delete("d")


async def test_what_lives_is_hidden_at_once_and_keeps_its_port_until_its_end(living, outside):
    await living.delete("d")
    assert outside.done == ["launch", "stop"]
    for call in (living.get, living.start, living.stop, living.take_out, living.delete):
        with pytest.raises(NotFound):
            await call("d")
    with pytest.raises(WrongState, match="still being ended"):
        await living.create(fresh(port=0))
    assert await living.store.ports() == {8001}

    await living.run_over("d", ENTRY)
    assert await is_gone(living, outside)
    assert await living.store.ports() == frozenset()
    assert outside.forgotten == [ENTRY]
    again, _ = await living.create(fresh(port=0))
    assert again.entry() == "deploy-d-2"


async def test_recovery_stops_what_was_not_stopped_and_forgets_it_when_it_has_ended(living, outside):
    outside.dies_at = "stop"
    with pytest.raises(ConnectionError):
        await living.delete("d")
    outside.dies_at = ""
    await living.recover()
    assert outside.done[-1] == "stop"
    assert await living.store.ports() == {8001}
    outside.tells = ENDED
    await living.recover()
    assert await is_gone(living, outside)


@pytest.mark.parametrize("delete", [True, False])
async def test_what_was_stopped_before_its_launch_gives_its_gpus_back_at_once(
    deploying, outside, told, delete
):
    outside.dies_at = "launch"
    await deploying.create(fresh(port=0))
    await deploying.change("d", submit)
    with pytest.raises(ConnectionError):
        await deploying.granted("d", ENTRY, LEASE)
    outside.directories = {}
    await (deploying.delete("d") if delete else deploying.stop("d"))
    assert [event for event in told if event.HasField("work_withdrawn")] == []
    await deploying.recover()
    (withdrawn,) = [event for event in told if event.HasField("work_withdrawn")]
    assert withdrawn.work_withdrawn.entry == ENTRY
    assert await deploying.store.ports() == frozenset()
    assert not delete or await is_gone(deploying, outside)


async def test_a_launch_that_fails_for_a_deleted_deployment_leaves_nothing(deploying, outside, told):
    await deploying.create(fresh(port=0))
    await deploying.change("d", submit)
    outside.failure = lambda: deploying.delete("d")
    await deploying.granted("d", ENTRY, LEASE)
    assert [event.work_withdrawn.entry for event in told if event.HasField("work_withdrawn")] == [ENTRY]
    assert await is_gone(deploying, outside)


@pytest.mark.parametrize("step", ["ended", "forget", "remove"])
async def test_what_its_end_was_cut_off_in_is_done_by_recovery_or_the_same_event(living, outside, step):
    await living.delete("d")
    outside.dies_at, outside.tells = step, ENDED
    with pytest.raises(ConnectionError):
        await living.run_over("d", ENTRY)
    outside.dies_at = ""
    await living.recover()
    assert await is_gone(living, outside)
    await living.run_over("d", ENTRY)
    assert outside.forgotten[-1] == ENTRY


async def test_one_that_was_forgotten_before_its_launch_is_not_launched(deploying, outside):
    await deploying.create(fresh(port=0))
    await deploying.change("d", submit)
    store = deploying.store
    commit = store.commit

    async def commit_then_forget(before, change, once=UNKEYED):
        """Between the grant and the launch it is deleted, and recovery concludes."""
        store.commit = commit
        await commit(before, change, once)
        await deploying.delete("d")
        await deploying.recover()

    store.commit = commit_then_forget
    await deploying.granted("d", ENTRY, LEASE)
    assert "launch" not in outside.done
    assert await is_gone(deploying, outside)
