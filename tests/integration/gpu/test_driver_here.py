"""What holds of every driver: the fake one, and the real one of this machine where there is one.

Each is read in a process of its own, as the fake library stays loaded in the process of the tests.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys

import msgspec
import pytest

from swiftletd.gpu.domain.device import DeviceKind, Health
from swiftletd.gpu.ports import Reading

READ = """
import sys, msgspec
from swiftletd.gpu.adapters.nvml import Driver, DriverAway
from swiftletd.gpu.adapters.processes import MarkedProcesses
try:
    sys.stdout.buffer.write(msgspec.json.encode(Driver(MarkedProcesses("").describe).read()))
except DriverAway as error:
    sys.stderr.write(str(error))
    sys.exit(3)
"""
NO_DRIVER = 3
FAKE = """\
driver=570.86.15 cuda=12080
gpu uuid=GPU-0 numa=0 switch=0 util=97 used_mb=70000 temp=66 power_mw=612345
gpu uuid=GPU-1 numa=0 switch=1 nvlinks=0
gpu uuid=GPU-2 mig=1
mig gpu=2 uuid=MIG-a total_mb=20096 used_mb=700
proc gpu=0 pid=1 mb=69000
"""
LEVELS = {"nvlink", "pix", "pxb", "phb", "node", "sys"}


def read() -> Reading | str:
    """The devices, or why no driver answers."""
    done = subprocess.run([sys.executable, "-c", READ], env={**os.environ}, capture_output=True, check=False)
    assert done.returncode in {0, NO_DRIVER}, done.stderr.decode()
    return done.stderr.decode() if done.returncode else msgspec.json.decode(done.stdout, type=Reading)


@pytest.fixture(params=["fake", "real"])
def reading(request) -> Reading:
    if request.param == "fake":
        request.getfixturevalue("gpus")(FAKE)
        found = read()
        assert isinstance(found, Reading), found
        return found
    return real_reading()


def real_reading() -> Reading:
    found = read()
    if isinstance(found, str):
        pytest.skip(f"no NVIDIA driver answers on this machine: {found}")
    return found


def test_every_device_has_an_identity_and_a_size(reading):
    uuids = [device.uuid for device in reading.devices]
    assert len(uuids) == len(set(uuids)) > 0
    for device in reading.devices:
        assert device.uuid.startswith("MIG-" if device.kind is DeviceKind.MIG else "GPU-")
        assert device.name
        assert device.machine
        assert device.memory_mib > 0
    assert re.match(r"\d+\.\d+", reading.driver)
    assert re.match(r"\d+\.\d+$", reading.cuda)
    assert reading.problem == ""


def test_whole_gpus_are_counted_from_zero_and_slices_name_theirs(reading):
    whole = {device.uuid: device for device in reading.devices if device.kind is DeviceKind.GPU}
    assert sorted(device.index for device in whole.values()) == list(range(len(whole)))
    for device in reading.devices:
        if device.kind is DeviceKind.MIG:
            assert whole[device.parent].index == device.index


def test_what_a_device_does_is_within_what_it_can(reading):
    for device in reading.devices:
        if device.health is not Health.HEALTHY:
            continue
        now = reading.telemetry[device.uuid]
        assert 0 <= now.memory_used_mib <= device.memory_mib
        assert 0 <= now.utilization <= 100
        assert 0 <= now.temperature < 120
        assert 0 <= now.power_w < 2000
        for process in now.processes:
            assert process.pid > 0
            assert process.name
            assert process.user


def test_links_lead_both_ways_and_have_known_names(reading):
    links = {uuid: dict(now.links) for uuid, now in reading.telemetry.items()}
    for uuid, others in links.items():
        assert set(others.values()) <= LEVELS
        assert all(links[other][uuid] == level for other, level in others.items())


def test_it_agrees_with_nvidia_smi():
    if not shutil.which("nvidia-smi"):
        pytest.skip("nvidia-smi is not on this machine")
    ask = ["nvidia-smi", "--query-gpu=index,uuid,name", "--format=csv,noheader"]
    done = subprocess.run(ask, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nvidia-smi does not answer: {done.stdout.strip()[-200:]}")
    told = [tuple(part.strip() for part in line.split(",", 2)) for line in done.stdout.splitlines()]
    whole = [device for device in real_reading().devices if device.kind is DeviceKind.GPU]
    assert [(str(d.index), d.uuid, d.name) for d in whole] == told
