"""Which devices of a machine: close to each other, and such that large free sets stay whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from swiftletd.gpu.domain.device import Device

Trait = Callable[[Device], object]

# What devices can have in common, the fastest link first. Devices that say nothing have it in common.
TRAITS: tuple[Trait, ...] = (
    lambda device: (device.name, device.memory_mib),
    lambda device: device.island,
    lambda device: device.numa,
    lambda device: device.switch,
)


def closest(devices: Iterable[Device], count: int) -> list[Device]:
    """`count` of the devices, linked as fast as they can be, out of the smallest set that will do."""
    return _narrow(sorted(devices, key=lambda device: device.index), count, TRAITS, ())


def _narrow(
    devices: list[Device], count: int, traits: tuple[Trait, ...], split: tuple[Trait, ...]
) -> list[Device]:
    """Takes the smallest set that holds all, trait by trait; `split` are traits no set of which did."""
    if count >= len(devices) or not traits:
        return _gather(devices, count, split)
    trait, *rest = traits
    large_enough = [group for group in _groups(devices, trait) if len(group) >= count]
    if large_enough:
        return _narrow(min(large_enough, key=len), count, tuple(rest), split)
    return _narrow(devices, count, tuple(rest), (*split, trait))


def _gather(devices: list[Device], count: int, split: tuple[Trait, ...]) -> list[Device]:
    """Puts the devices together from as few sets as possible, and leaves the other sets whole."""
    if count >= len(devices) or not split:
        return devices[:count]
    groups = _groups(devices, split[0])
    enough = [group for group in groups if len(group) >= count]
    if enough:
        return _gather(min(enough, key=len), count, split[1:])
    largest = max(groups, key=len)
    others = [device for device in devices if device not in largest]
    return largest + _gather(others, count - len(largest), split)


def _groups(devices: Sequence[Device], trait: Trait) -> list[list[Device]]:
    groups: dict[object, list[Device]] = {}
    for device in devices:
        groups.setdefault(trait(device), []).append(device)
    return list(groups.values())
