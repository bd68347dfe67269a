"""Who is on the devices: ours, strangers, the dead; and devices that come and go."""

from __future__ import annotations

from dataclasses import replace

from swiftletd.gpu.domain.device import Health, cpu_slot
from swiftletd.gpu.ports import Process, Reading, Telemetry
from unit.gpu_service.service import MIB, Service, State, gpu


def on(service, *processes, used=0, health=Health.HEALTHY):
    """What is on the first GPU from now on."""
    devices = list(service.inventory.reading.devices)
    devices[0] = replace(devices[0], health=health)
    used = used or sum(process.memory_mib for process in processes)
    telemetry = {devices[0].uuid: Telemetry(memory_used_mib=used, processes=processes)}
    service.inventory.reading = Reading(devices=tuple(devices), telemetry=telemetry)


def process(pid=4711, mib=40_000, run="", started=1_000_000.0):
    return Process(pid=pid, name="python", user="eve", memory_mib=mib, run=run, started=started)


async def test_a_strangers_process_is_waited_for_and_never_touched(one):
    on(one, process())
    await one.survey.look()
    await one.submit("a")
    await one.step()
    assert one.running == []
    assert "pid 4711 (python) of user eve, 39.1 GiB" in one.told("gpu.entry.waiting")[0].body.reason
    assert one.processes.ended == []
    on(one)
    assert await one.survey.look()
    await one.step()
    assert one.running == ["a"]


async def test_a_strangers_little_memory_does_not_matter(one):
    on(one, process(mib=500))
    await one.survey.look()
    await one.submit("a")
    await one.step()
    assert one.running == ["a"]


async def test_memory_that_nobody_is_named_for_counts_as_a_strangers(one):
    on(one, used=MIB // 2)
    await one.survey.look()
    await one.submit("a")
    await one.step()
    assert "a process that the driver does not name" in one.told("gpu.entry.waiting")[0].body.reason


async def test_the_main_memory_of_a_machine_without_gpus_is_everybodys(one):
    memory = 16 * 1024
    slot = cpu_slot("laptop", memory)
    telemetry = {slot.uuid: Telemetry(memory_used_mib=memory // 2)}
    one.inventory.reading = Reading(devices=(slot,), telemetry=telemetry)
    await one.survey.look()
    await one.submit("a")
    await one.step()
    assert one.running == ["a"]
    assert one.board.devices[0].occupants == ()


async def test_our_own_process_is_no_stranger(one):
    await one.submit("a")
    await one.step()
    on(one, process(run="training-a-1"))
    await one.survey.look()
    assert one.board.devices[0].occupants == ()


async def test_what_an_ended_job_left_behind_is_ended_before_the_gpu_is_given_away(one):
    await one.submit("a", "b")
    await one.step()
    on(one, process(run="training-a-1"))
    await one.finish("a")
    one.scheduler.wake(freed=True)
    await one.step()
    assert one.processes.ended == ["training-a-1"]
    assert one.running == []
    assert one.survey.unsettled
    on(one)
    await one.survey.look()
    await one.step()
    assert one.running == ["b"]


async def test_a_run_that_was_never_ours_is_a_stranger_although_it_says_it_is_a_run(one):
    on(one, process(run="training-of-another-suite-1"))
    await one.survey.look()
    assert [occupant.orphan for occupant in one.board.devices[0].occupants] == [False]
    assert one.processes.ended == []


async def test_a_later_process_with_the_mark_of_an_ended_run_is_of_a_suite_beside_ours(one):
    await one.submit("a", "b")
    await one.step()
    one.clock.at += 60
    await one.finish("a")
    on(one, process(run="training-a-1", started=one.clock.at + 60))
    one.scheduler.wake(freed=True)
    await one.step()
    assert (one.processes.ended, one.running) == ([], [])
    assert not one.survey.unsettled


async def test_a_lost_gpu_is_told_and_its_job_is_asked_to_end(four):
    await four.submit("a", gpus=2)
    await four.step()
    on(four, health=Health.LOST)
    await four.survey.look()
    (told,) = four.told("gpu.device.lost")
    assert told.message == "NVIDIA H100 0 on node is lost, it was healthy."
    assert four.heartbeats.stopped == {"training-a-1": "lease_revoked"}
    assert four.running == ["a"]
    await four.finish("a", completed=False)
    (ended,) = four.told("gpu.lease.revoked")
    assert ended.body.reason == "GPU 0 (GPU-0) fell off the bus."
    await four.submit("b", gpus=4)
    await four.step()
    assert four.told("gpu.entry.waiting")[-1].body.code == "UNHEALTHY"
    on(four)
    await four.survey.look()
    await four.step()
    assert four.running == ["b"]


async def test_a_driver_that_does_not_answer_ends_no_job(one):
    await one.submit("a")
    await one.step()
    on(one, health=Health.UNKNOWN)
    await one.survey.look()
    assert (one.running, one.heartbeats.stopped) == (["a"], {})


async def test_a_loss_is_told_once_over_restarts(one):
    on(one, health=Health.LOST)
    await one.survey.look()
    again = Service(gpu(), store=one.store)
    on(again, health=Health.LOST)
    await again.open()
    assert len(again.told("gpu.device.lost")) == 1
    on(again)
    await again.survey.look()
    assert len(again.told("gpu.device.healthy")) == 1


async def silent_for(service, seconds):
    for _ in range(int(seconds // 5)):
        service.clock.at += 5
        await service.sweep.once(5.0)


async def test_a_lease_that_nobody_keeps_alive_expires(one):
    await one.submit("a", "b")
    await one.step()
    await silent_for(one, 55)
    assert (one.running, one.heartbeats.stopped) == (["a"], {})
    await silent_for(one, 10)
    assert one.heartbeats.stopped == {"training-a-1": "lease_revoked"}
    assert one.state("a") is State.EXPIRED


async def test_a_lease_lives_as_long_as_its_runner_or_its_processes(one):
    await one.submit("a")
    await one.step()
    one.beat("a")
    await silent_for(one, 300)
    assert one.state("a") is State.GRANTED
    one.heartbeats.beats.clear()
    one.processes.running = {"training-a-1": [4711]}
    await silent_for(one, 300)
    assert one.state("a") is State.GRANTED


async def test_a_machine_that_slept_counts_no_silence(one):
    await one.submit("a")
    await one.step()
    one.clock.at += 3600
    await one.sweep.once(5.0)
    one.beat("a")
    await one.sweep.once(5.0)
    assert one.state("a") is State.GRANTED


async def test_progress_tells_when_the_gpus_come_free(one):
    await one.submit("a", "b")
    await one.step()
    one.beat("a", step=10, total_steps=40, seconds_per_step=2.0)
    await one.sweep.once(5.0)
    one.oracle.doubt()
    one.clock.at += 5
    (occupied,) = await one.answers.gpus()
    assert occupied.outlook.tenures[0].until == one.clock.at + 55
    standing = await one.answers.item("b")
    assert standing.prediction.p50 - one.clock.at < 120
    assert standing.gpu_ids == "0"
