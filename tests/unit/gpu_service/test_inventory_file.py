"""Devices from a file."""

from __future__ import annotations

import json
import os

import pytest

from swiftletd.gpu.adapters.inventory_file import FileInventory, InventoryError
from swiftletd.gpu.domain.device import DeviceKind, Health
from swiftletd.gpu.ports import Process

TWO = {
    "machines": [
        {"name": "a", "gpus": [{"name": "H100", "memory_mib": 81559, "count": 2}]},
        {"name": "b", "cpu_slots": 1, "gpus": [{"name": "L40S", "memory_mib": 46068, "health": "lost"}]},
    ]
}


async def test_any_number_of_machines(tmp_path):
    path = tmp_path / "inventory.json"
    path.write_text(json.dumps(TWO))
    devices = (await FileInventory(path).read()).devices
    assert [(d.uuid, d.machine, d.index) for d in devices] == [
        ("GPU-a-0", "a", 0),
        ("GPU-a-1", "a", 1),
        ("GPU-b-0", "b", 0),
        ("cpu:b:0", "b", 0),
    ]
    assert (devices[2].health, devices[3].kind) == (Health.LOST, DeviceKind.CPU)


async def test_processes_of_the_file_are_on_the_gpu(tmp_path):
    path = tmp_path / "inventory.json"
    someone = {"pid": 4711, "name": "python", "user": "x", "memory_mib": 30925}
    gpus = [{"name": "H100", "memory_mib": 81559, "processes": [someone]}]
    path.write_text(json.dumps({"machines": [{"name": "a", "gpus": gpus}]}))
    telemetry = (await FileInventory(path).read()).telemetry["GPU-a-0"]
    assert telemetry.memory_used_mib == 30925
    assert telemetry.processes == (Process(**someone),)


async def test_it_follows_the_file_and_keeps_the_last_good_one(tmp_path):
    path = tmp_path / "inventory.json"
    path.write_text(json.dumps(TWO))
    inventory = FileInventory(path)
    path.write_text("{}")
    os.utime(path, ns=(1, 1))
    assert len((await inventory.read()).devices) == 4
    path.write_text(json.dumps({"machines": TWO["machines"][:1]}))
    os.utime(path, ns=(2, 2))
    assert len((await inventory.read()).devices) == 2


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "truncated"),
        ('{"machines": [{"name": "a", "gpu": []}]}', "unknown field `gpu`"),
        ('{"machines": [{"name": "a"}, {"name": "a"}]}', "a machine comes twice"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_the_reason(tmp_path, text, complaint):
    path = tmp_path / "inventory.json"
    path.write_text(text)
    with pytest.raises(InventoryError, match=f"GPU_INVENTORY.*inventory.json.*{complaint}"):
        FileInventory(path)
