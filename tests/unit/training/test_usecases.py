"""In which order the training service does things, on ports in memory. The simulation found each of these."""

from __future__ import annotations

import pytest

from contract.gpu.making import FakeClock
from contract.training.memory import MemoryJobStore
from swiftletd.training.domain import decide
from swiftletd.training.domain.decide import submit
from swiftletd.training.domain.job import AttemptState, State
from swiftletd.training.ports import LaunchFailed, RunReport
from swiftletd.training.usecases import Training
from unit.training.test_decide import GOOD, LEASE, a_job

ENTRY = "training-job-1-1"
NOTHING = RunReport(alive=False, launched=False, steps=())


class FakeRuns:
    """One run directory: what it tells, and what was done to it."""

    def __init__(self):
        self.tells, self.failure, self.done = NOTHING, None, []
        self.tells_after_stop = None  # what a runner that a fork server had begun to start has done meanwhile

    async def launch_training(self, job, number, lease):
        self.done.append("launch")
        if self.failure:
            raise self.failure

    async def report(self, job_id, entry):
        return self.tells

    async def stop(self, job_id, entry, word):
        self.done.append(word)
        self.tells = self.tells_after_stop or self.tells

    async def known(self):
        return []

    async def bury(self, job_id, entry):
        self.done.append("bury")

    async def remove(self, job_id):
        self.done.append("remove")

    async def progress(self, job_id, entry):
        return {}

    async def log_tail(self, job_id, entry):
        return ""

    def exports(self, job_id, entry):
        return False


@pytest.fixture
def runs():
    return FakeRuns()


@pytest.fixture
def outbox():
    return []


@pytest.fixture
async def training(runs, outbox):
    """With a job that waits for its GPUs."""
    training = Training(MemoryJobStore(FakeClock(), outbox.append), runs, None, FakeClock())
    await training.create(a_job(max_retries=1), auto_start=False)
    await training.change("job-1", submit)
    return training


async def test_a_run_that_succeeded_is_not_lost_because_its_lease_ended_first(training, runs):
    await training.granted("job-1", ENTRY, LEASE)
    runs.tells = RunReport(alive=False, launched=True, steps=(GOOD,))
    await training.lease_over("job-1", ENTRY, "revoked")
    job = await training.get("job-1")
    assert (job.state, job.attempts[0].state) == (State.COMPLETED, AttemptState.COMPLETED)


async def test_a_run_whose_lease_ended_is_stopped_and_not_over_before_its_runner_is(training, runs):
    await training.granted("job-1", ENTRY, LEASE)
    runs.tells = RunReport(alive=True, launched=True, steps=())
    await training.lease_over("job-1", ENTRY, "expired")
    assert runs.done == ["launch", "lease_revoked"]
    assert (await training.get("job-1")).state is State.RUNNING


async def test_a_second_launch_that_fails_does_not_end_the_run_of_the_first(training, runs):
    await training.granted("job-1", ENTRY, LEASE)
    runs.failure, runs.tells = LaunchFailed("Too late."), RunReport(alive=True, launched=True, steps=())
    await training.granted("job-1", ENTRY, LEASE)
    assert (await training.get("job-1")).state is State.RUNNING


async def test_a_launch_that_failed_can_start_nothing_later(training, runs):
    runs.failure = LaunchFailed("There is no trainer.")
    await training.granted("job-1", ENTRY, LEASE)
    assert runs.done == ["launch", "cancelled"]
    assert (await training.get("job-1")).state is State.FAILED


async def test_a_job_that_is_deleted_while_it_is_launched_keeps_its_word_to_stop(training, runs):
    await training.granted("job-1", ENTRY, LEASE)
    await training.delete("job-1")
    assert runs.done == ["launch", "cancelled"]
    await training.run_over("job-1", ENTRY)
    assert runs.done[-1] == "remove"


def withdrawn(outbox):
    """Entries that the gpu service was told of."""
    return [e.work_withdrawn.entry for e in outbox if e.WhichOneof("payload") == "work_withdrawn"]


@pytest.fixture
async def cancelled(training):
    """The job was stopped between its grant and its launch, and the service died."""
    await training.change("job-1", lambda job: decide.granted(job, ENTRY, LEASE, 1.0))
    await training.change("job-1", lambda job: decide.cancel(job, 2.0))


async def test_recovery_gives_the_gpus_of_a_job_back_that_was_stopped_before_its_launch(
    training, runs, cancelled, outbox
):
    await training.recover()
    await training.recover()
    assert (runs.done, withdrawn(outbox)) == (["cancelled"], [ENTRY])
    assert (await training.get("job-1")).over


async def test_a_launch_that_was_still_under_way_keeps_its_gpus_until_its_runner_has_left(
    training, runs, cancelled, outbox
):
    runs.tells_after_stop = RunReport(alive=True, launched=True, steps=())
    await training.recover()
    assert (runs.done, withdrawn(outbox)) == (["cancelled"], [])
    assert not (await training.get("job-1")).over
    await training.run_over("job-1", ENTRY)
    assert ((await training.get("job-1")).over, withdrawn(outbox)) == (True, [])


async def test_a_launch_that_failed_for_a_job_that_was_stopped_meanwhile_gives_the_gpus_back(
    training, runs, cancelled, outbox
):
    runs.failure = LaunchFailed("There is no trainer.")
    await training._launch(await training.get("job-1"), 1)
    assert withdrawn(outbox) == [ENTRY]
    assert (await training.get("job-1")).over
