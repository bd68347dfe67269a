"""The inventory against a driver: real nvidia-ml-py, and a library that says what the test wants."""

from __future__ import annotations

import threading

import pytest

from swiftletd.gpu.adapters.inventory import NvmlInventory
from swiftletd.gpu.adapters.nvml import Driver
from swiftletd.gpu.domain.device import DeviceKind, Health, Link, link
from swiftletd.gpu.ports import Process
from swiftletd.gpu.usecases.grants import describe

BOX = """\
driver=570.86.15 cuda=12080
gpu uuid=GPU-0 numa=0 switch=0 util=97 used_mb=70000 temp=66 power_mw=612345
gpu uuid=GPU-1 numa=0 switch=0
gpu uuid=GPU-2 numa=0 switch=1 nvlinks=0
gpu uuid=GPU-3 numa=1 switch=2 nvlinks=0 name=NVIDIA_L40S total_mb=46068
proc gpu=0 pid=4242 mb=69000
"""


def someone(pid, mib):
    return Process(pid=pid, name="python", user="eve", memory_mib=mib)


@pytest.fixture
def driver(gpus):
    made = Driver(someone)
    yield made
    made._close()


def health(reading):
    return [device.health for device in reading.devices]


def test_everything_that_the_driver_tells(gpus, driver):
    gpus(BOX)
    reading = driver.read()
    assert (reading.driver, reading.cuda) == ("570.86.15", "12.8")
    first, *_, last = reading.devices
    assert (first.uuid, first.index, first.memory_mib) == ("GPU-0", 0, 81559)
    assert (last.name, last.index, last.memory_mib) == ("NVIDIA L40S", 3, 46068)
    now = reading.telemetry["GPU-0"]
    assert (now.memory_used_mib, now.utilization, now.temperature, now.power_w) == (70000, 97, 66, 612.345)
    assert now.processes == (someone(4242, 69000),)


def test_links_and_the_sets_that_follow_from_them(gpus, driver):
    gpus(BOX)
    reading = driver.read()
    a, b, c, d = reading.devices
    assert [link(a, b), link(a, c), link(a, d)] == [Link.NVLINK, Link.NUMA, Link.MACHINE]
    assert dict(reading.telemetry["GPU-0"].links) == {"GPU-1": "nvlink", "GPU-2": "node", "GPU-3": "sys"}
    assert a.island == b.island != ""
    assert (c.island, d.island, d.numa) == ("", "", "")
    assert a.switch == b.switch != c.switch
    assert a.numa == c.numa != ""


def test_one_lost_gpu_does_not_hide_the_others_and_keeps_its_name(gpus, driver):
    before = driver.read().devices
    gpus("gpu\ngpu error=15\ngpu\ngpu\n")
    after = driver.read()
    assert {d.uuid: d.health for d in after.devices} == {
        d.uuid: Health.LOST if d.index == 1 else Health.HEALTHY for d in before
    }
    gpus("gpu\n" * 4)
    assert health(driver.read()) == [Health.HEALTHY] * 4


def test_a_gpu_that_is_counted_no_more_is_lost(gpus, driver):
    driver.read()
    gpus("gpu\n" * 3)
    assert sorted(h.value for h in health(driver.read())) == ["healthy"] * 3 + ["lost"]


def test_the_others_get_new_indices_when_one_is_gone_and_children_get_those(gpus, driver):
    gpus("gpu uuid=GPU-a\ngpu uuid=GPU-b\ngpu uuid=GPU-c\n")
    driver.read()
    gpus("gpu uuid=GPU-a\ngpu uuid=GPU-c\n")
    after = {device.uuid: device for device in driver.read().devices}
    assert {uuid: (d.index, d.health) for uuid, d in after.items()} == {
        "GPU-a": (0, Health.HEALTHY),
        "GPU-b": (1, Health.LOST),
        "GPU-c": (1, Health.HEALTHY),
    }
    assert describe([after["GPU-c"]], token=1).visible_devices == "1"
    gpus("gpu uuid=GPU-a\ngpu error=15\ngpu uuid=GPU-c\n")
    again = driver.read().devices
    assert sorted((d.uuid, d.index, d.health.value) for d in again) == [
        ("GPU-a", 0, "healthy"),
        ("GPU-b", 1, "lost"),
        ("GPU-c", 2, "healthy"),
    ]


def test_a_gpu_that_answers_with_errors_has_failed(gpus, driver):
    driver.read()
    gpus("gpu\n" * 4 + "fail fn=nvmlDeviceGetComputeRunningProcesses_v3 gpu=2 error=999\n")
    assert {d.index: d.health for d in driver.read().devices}[2] is Health.FAILED


@pytest.mark.parametrize("error", [3, 4, 13, 999])
def test_what_a_gpu_does_not_tell_is_zero(gpus, driver, error):
    gpus(f"gpu temp=50 power_mw=9\nfail fn=nvmlDeviceGetTemperature gpu=0 error={error}\n")
    reading = driver.read()
    (device,) = reading.devices
    assert device.health is Health.HEALTHY
    assert (reading.telemetry[device.uuid].temperature, reading.telemetry[device.uuid].power_w) == (0, 0.009)


def test_a_driver_that_goes_away_and_comes_back(gpus, driver):
    driver.read()
    gpus("gpu\n" * 4 + "fail fn=nvmlDeviceGetCount_v2 error=9\n")
    away = driver.read()
    assert health(away) == [Health.UNKNOWN] * 4
    assert "Driver Not Loaded" in away.problem
    gpus("init_error=18\n")
    assert health(driver.read()) == [Health.UNKNOWN] * 4
    gpus("gpu\n" * 4)
    assert health(driver.read()) == [Health.HEALTHY] * 4


def test_slices_are_devices_of_their_own(gpus, driver):
    gpus(
        "gpu uuid=GPU-0 mig=1\ngpu uuid=GPU-1\n"
        "mig gpu=0 uuid=MIG-a total_mb=20096 used_mb=700\nmig gpu=0 uuid=MIG-b\n"
        "proc gpu=0 mig=0 pid=77 mb=600\n"
    )
    reading = driver.read()
    slices = [device for device in reading.devices if device.kind is DeviceKind.MIG]
    assert [(s.uuid, s.parent, s.index) for s in slices] == [("MIG-a", "GPU-0", 0), ("MIG-b", "GPU-0", 0)]
    assert slices[0].memory_mib == 20096
    assert reading.telemetry["MIG-a"].processes == (someone(77, 600),)
    assert reading.telemetry["MIG-b"].processes == ()
    assert describe([slices[1]], token=1).visible_devices == "MIG-b"
    assert not slices[0].links


def test_a_gpu_in_slice_mode_without_a_slice_is_of_no_use(gpus, driver):
    gpus("gpu mig=1\n")
    assert health(driver.read()) == [Health.FAILED]


async def test_without_a_driver_there_is_one_honest_slot(gpus):
    gpus("init_error=12\n")
    inventory = NvmlInventory(Driver(someone))
    reading = await inventory.read()
    assert [(d.uuid, d.kind) for d in reading.devices] == [("cpu:0", DeviceKind.CPU)]
    inventory.close()


async def test_a_hung_driver_makes_its_devices_unknown_until_it_answers(gpus):
    inventory = NvmlInventory(Driver(someone), patience=0.05)
    driver = inventory._driver
    assert health(await inventory.read(0)) == [Health.HEALTHY] * 4
    answer, read = threading.Event(), driver.read
    driver.read = lambda: (answer.wait(10), read())[1]
    hung = await inventory.read(0)
    assert health(hung) == [Health.UNKNOWN] * 4
    assert "has not answered" in hung.problem
    answer.set()
    inventory._patience = 5.0
    assert health(await inventory.read(0)) == [Health.HEALTHY] * 4
    inventory.close()
