"""What is told of all GPUs together."""

from __future__ import annotations

from dataclasses import replace

from swiftletd.gpu.domain.device import DeviceKind, Health
from swiftletd.gpu.ports import Reading, Telemetry
from swiftletd.gpu.wire.convert import to_totals
from unit.gpu_service.service import MIB, Service, gpu


async def totals(**reading):
    service = await Service().open()
    service.inventory.reading = Reading(**reading)
    return to_totals(await service.answers.gpus(), service.inventory.reading)


async def test_driver_cuda_and_the_memory_of_whole_gpus():
    whole = gpu(0)
    part = replace(gpu(0, uuid="MIG-a"), kind=DeviceKind.MIG, parent=whole.uuid, memory_mib=20_000)
    used = {whole.uuid: Telemetry(memory_used_mib=MIB), part.uuid: Telemetry(memory_used_mib=5)}
    found = await totals(devices=(whole, part), telemetry=used, driver="570.86.15", cuda="12.8")
    assert (found.count, found.total_memory, found.used_memory, found.memory_usage_percent) == (
        1,
        MIB,
        MIB,
        100,
    )
    assert (found.driver_version, found.cuda_version, found.driver_problem) == ("570.86.15", "12.8", "")


async def test_a_driver_that_is_away_is_told_with_its_words():
    lost = replace(gpu(0), health=Health.UNKNOWN)
    found = await totals(devices=(lost,), problem="Driver Not Loaded")
    assert (found.driver_version, found.driver_problem) == ("", "Driver Not Loaded")
    assert (await totals(devices=(), problem="NVML Shared Library Not Found")).count == 0
