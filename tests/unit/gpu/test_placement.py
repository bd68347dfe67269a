"""Which devices: close to each other, best fit, and shares packed together."""

from __future__ import annotations

from swiftletd.gpu.domain.device import Link, cpu_slot, link
from swiftletd.gpu.domain.policy import Policy
from swiftletd.gpu.domain.reason import Code
from swiftletd.gpu.domain.topology import closest
from unit.gpu.builders import (
    GIB,
    NOW,
    DeviceKind,
    Health,
    devices_of,
    entry,
    gpu,
    granted,
    holding,
    machine,
    plan,
    stranger,
)


def test_a_small_job_goes_where_the_hole_is_smallest():
    devices = [*machine("m0", gpus=8), *machine("m1", gpus=8)]
    running = holding("x", [f"m1/{index}" for index in range(6)], ends_in=60)
    made = plan(devices, [entry("pair", gpus=2)], holdings=[running])
    assert devices_of(made, "pair") == ["m1/6", "m1/7"]


def test_a_job_takes_the_smallest_device_that_will_do():
    devices = [gpu("m0", 0, gib=80), gpu("m1", 0, name="L4", gib=24)]
    assert devices_of(plan(devices, [entry("a")]), "a") == ["m1/0"]
    assert devices_of(plan(devices, [entry("a", min_memory_mib=40 * GIB)]), "a") == ["m0/0"]


def test_the_name_may_be_any_part_in_any_case():
    devices = [gpu("m0", 0, name="NVIDIA H100 80GB HBM3"), gpu("m1", 0, name="NVIDIA L4")]
    assert devices_of(plan(devices, [entry("a", gpu_name="h100")]), "a") == ["m0/0"]


def test_a_gang_stays_on_one_nvlink_island():
    devices = [gpu("m0", index, island=str(index % 2)) for index in range(8)]
    made = plan(devices, [entry("gang", gpus=4)])
    assert devices_of(made, "gang") == ["m0/0", "m0/2", "m0/4", "m0/6"]


def test_a_pair_breaks_up_the_island_that_is_broken_already():
    devices = [gpu("m0", index, island=str(index // 4)) for index in range(8)]
    running = holding("x", ["m0/0"], ends_in=60)
    made = plan(devices, [entry("pair", gpus=2)], holdings=[running])
    assert devices_of(made, "pair") == ["m0/1", "m0/2"]


def test_a_gang_larger_than_an_island_takes_whole_islands():
    devices = [gpu("m0", index, island=str(index // 2)) for index in range(6)]
    free = [device for device in devices if device.index != 0]
    assert [device.index for device in closest(free, 4)] == [2, 3, 4, 5]


def test_bridged_pairs_stay_on_one_numa_node():
    devices = [gpu("m0", index, island=f"pair{index // 2}", numa=str(index // 4)) for index in range(8)]
    free = [device for device in devices if device.index not in (0, 1)]
    assert [device.index for device in closest(free, 4)] == [4, 5, 6, 7]


def test_a_gang_is_of_one_model_where_it_can_be():
    devices = [gpu("m0", 0, name="A"), gpu("m0", 1, name="B"), gpu("m0", 2, name="A"), gpu("m0", 3, name="B")]
    assert devices_of(plan(devices, [entry("pair", gpus=2)]), "pair") == ["m0/0", "m0/2"]
    assert len(devices_of(plan(devices, [entry("trio", gpus=3)]), "trio")) == 3


def test_a_gang_spreads_over_machines_only_if_it_may():
    devices = [*machine("m0", gpus=4), *machine("m1", gpus=4)]
    assert granted(plan(devices, [entry("gang", gpus=6)])) == []
    made = plan(devices, [entry("gang", gpus=6, same_machine=False)])
    assert len(devices_of(made, "gang")) == 6


def test_a_gang_that_may_spread_still_prefers_one_machine():
    devices = [*machine("m0", gpus=2), *machine("m1", gpus=4)]
    made = plan(devices, [entry("gang", gpus=4, same_machine=False)])
    assert {uuid[:2] for uuid in devices_of(made, "gang")} == {"m1"}


def test_a_gang_never_gets_slices():
    slices = [gpu("m0", index, kind=DeviceKind.MIG, gib=40) for index in range(2)]
    assert granted(plan(slices, [entry("gang", gpus=2)])) == []
    assert granted(plan(slices, [entry("one")])) == ["one"]


def test_a_gpu_in_slices_is_not_granted_as_a_whole():
    devices = [
        gpu("m0", 0, uuid="whole"),
        gpu("m0", 1, uuid="slice", kind=DeviceKind.MIG, parent="whole", gib=40),
    ]
    assert devices_of(plan(devices, [entry("a"), entry("b")]), "a") == ["slice"]


def test_shares_pack_onto_the_device_that_is_shared_already():
    devices = machine(gpus=2)
    running = holding("served", ["m0/1"], mib=20 * GIB)
    made = plan(devices, [entry("small", shared=True, memory_mib=30 * GIB)], holdings=[running])
    assert devices_of(made, "small") == ["m0/1"]


def test_shares_never_pass_the_memory_of_the_device():
    running = holding("served", ["m0/0"], mib=60 * GIB)
    made = plan([gpu()], [entry("small", shared=True, memory_mib=30 * GIB)], holdings=[running])
    assert granted(made) == []
    assert made.reasons["small"].code is Code.BUSY


def test_shares_leave_the_memory_that_the_policy_keeps_back():
    policy = Policy(share_reserve_mib=GIB)
    assert granted(plan([gpu()], [entry("a", shared=True, memory_mib=80 * GIB)], policy=policy)) == []
    assert granted(plan([gpu()], [entry("a", shared=True, memory_mib=79 * GIB)], policy=policy)) == ["a"]


def test_so_many_shares_and_no_more():
    policy = Policy(max_shares=2)
    made = plan([gpu()], [entry(shared=True, memory_mib=GIB) for _ in range(3)], policy=policy)
    assert len(made.grants) == 2


def test_a_whole_device_is_not_shared_and_a_shared_one_not_given_whole():
    whole = holding("w", ["m0/0"], ends_in=60)
    shared = holding("s", ["m0/0"], ends_in=60, mib=GIB)
    assert granted(plan([gpu()], [entry(shared=True, memory_mib=GIB)], holdings=[whole])) == []
    assert granted(plan([gpu()], [entry()], holdings=[shared])) == []


def test_a_shared_gang_gets_different_devices():
    made = plan(machine(gpus=2), [entry("a", gpus=2, shared=True, memory_mib=GIB)])
    assert devices_of(made, "a") == ["m0/0", "m0/1"]


def test_a_device_out_of_service_is_not_granted():
    for health in set(Health) - {Health.HEALTHY}:
        assert granted(plan([gpu(health=health)], [entry()])) == []


def test_a_stranger_is_waited_for_and_a_little_of_one_is_borne():
    assert granted(plan([gpu(occupants=(stranger(25),))], [entry()])) == []
    assert granted(plan([gpu(occupants=(stranger(20),))], [entry("a")])) == ["a"]


def test_a_small_device_must_be_nearly_empty_of_strangers():
    assert granted(plan([gpu(gib=16, occupants=(stranger(2),))], [entry()])) == []
    assert granted(plan([gpu(gib=16, occupants=(stranger(1),))], [entry("a")])) == ["a"]


def test_shares_keep_clear_of_a_strangers_memory():
    device = gpu(occupants=(stranger(10),))
    assert granted(plan([device], [entry(shared=True, memory_mib=71 * GIB)])) == []
    assert granted(plan([device], [entry("a", shared=True, memory_mib=70 * GIB)])) == ["a"]


def test_a_machine_without_a_driver_has_one_slot():
    slot = cpu_slot("laptop", 16 * GIB)
    made = plan([slot], [entry("a"), entry("b", at=NOW + 1), entry("c", gpu_name="h100")])
    assert granted(made) == ["a"]
    assert made.reasons["c"].code is Code.NO_SUCH_DEVICE


def test_links_are_told_from_groups_and_overridden_pair_by_pair():
    a = gpu("m0", 0, island="0", numa="0", links={"m0/3": Link.SWITCH})
    assert link(a, gpu("m0", 1, island="0")) is Link.NVLINK
    assert link(a, gpu("m0", 2, numa="0")) is Link.NUMA
    assert link(a, gpu("m0", 3, island="0")) is Link.SWITCH
    assert link(a, gpu("m0", 4)) is Link.MACHINE
    assert link(a, gpu("m1", 0, island="0")) is Link.NETWORK
