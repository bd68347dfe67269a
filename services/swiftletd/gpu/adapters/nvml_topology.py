"""How the GPUs of a machine reach each other, as the driver tells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pynvml as nv

from swiftletd.gpu.domain.device import DeviceKind, Link

if TYPE_CHECKING:
    from swiftletd.gpu.adapters.nvml import Found

NVLINK = "nvlink"
LEVELS: Mapping[int, str] = {
    nv.NVML_TOPOLOGY_SINGLE: "pix",
    nv.NVML_TOPOLOGY_MULTIPLE: "pxb",
    nv.NVML_TOPOLOGY_HOSTBRIDGE: "phb",
    nv.NVML_TOPOLOGY_NODE: "node",
    nv.NVML_TOPOLOGY_SYSTEM: "sys",
}
LINKS: Mapping[str, Link] = {
    NVLINK: Link.NVLINK,
    "pix": Link.SWITCH,
    "pxb": Link.SWITCH,
    "phb": Link.NUMA,
    "node": Link.NUMA,
    "sys": Link.MACHINE,
}
Pairs = Mapping[tuple[str, str], tuple[str, str]]  # (uuid, uuid): (fastest way, way over PCIe)


def linked(found: list[Found]) -> list[Found]:
    """The same devices, with their links. Slices have none: they can't talk to each other."""
    whole = [one for one in found if one.device.kind is DeviceKind.GPU]
    pairs = _pairs(whole)
    islands = _sets(whole, pairs, lambda ways: ways[0] == NVLINK)
    switches = _sets(whole, pairs, lambda ways: ways[1] in {"pix", "pxb"})
    nodes = _sets(whole, pairs, lambda ways: ways[1] not in {"sys", ""})
    return [
        _with_links(one, pairs, islands, switches, nodes) if one.device.kind is DeviceKind.GPU else one
        for one in found
    ]


def _with_links(
    one: Found,
    pairs: Pairs,
    islands: Mapping[str, str],
    switches: Mapping[str, str],
    nodes: Mapping[str, str],
) -> Found:
    uuid = one.device.uuid
    levels = {other: ways[0] for (mine, other), ways in pairs.items() if mine == uuid and ways[0]}
    device = replace(
        one.device,
        island=islands.get(uuid, ""),
        switch=switches.get(uuid, ""),
        numa=nodes.get(uuid, ""),
        links={other: LINKS[level] for other, level in levels.items()},
    )
    fastest_first = dict(sorted(levels.items(), key=lambda item: -LINKS[item[1]]))
    return replace(one, device=device, telemetry=replace(one.telemetry, links=fastest_first))


def _pairs(whole: Sequence[Found]) -> Pairs:
    return {
        (a.device.uuid, b.device.uuid): _ways(a.handle, b.handle) for a in whole for b in whole if a is not b
    }


def _ways(a: Any, b: Any) -> tuple[str, str]:
    """The fastest way between two GPUs, and the one over PCIe; empty where the driver doesn't tell."""
    try:
        pcie = LEVELS.get(nv.nvmlDeviceGetTopologyCommonAncestor(a, b), "")
    except nv.NVMLError:
        pcie = ""
    return (NVLINK if _has_nvlink(a, b) else pcie), pcie


def _has_nvlink(a: Any, b: Any) -> bool:
    try:
        status = nv.nvmlDeviceGetP2PStatus(a, b, nv.NVML_P2P_CAPS_INDEX_NVLINK)
    except nv.NVMLError:
        return False
    return bool(status == nv.NVML_P2P_STATUS_OK)


def _sets(
    whole: Sequence[Found], pairs: Pairs, together: Callable[[tuple[str, str]], bool]
) -> dict[str, str]:
    """The set that each GPU is in, named after its first member; those that are alone are in none."""
    sets: dict[str, str] = {}
    for one in whole:
        mine = one.device.uuid
        others = [other for (a, other), ways in pairs.items() if a == mine and together(ways)]
        if others:
            sets[mine] = next((sets[other] for other in others if other in sets), mine)
    return sets
