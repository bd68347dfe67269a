"""Devices: their health, who is on them, and what a request may ask of them."""

from __future__ import annotations

from itertools import product

import pytest

from swiftletd.gpu.domain.device import TRANSITIONS, Health, HealthError, advance, busy_sentence
from swiftletd.gpu.domain.request import Request, RequestError
from unit.gpu.builders import GIB, entry, gpu, stranger


@pytest.mark.parametrize(("source", "to"), list(product(Health, Health)))
def test_only_the_table_says_how_health_changes(source, to):
    if to in TRANSITIONS[source]:
        assert advance(gpu(health=source), to).health is to
    else:
        with pytest.raises(HealthError, match=f"from {source.value} to {to.value}"):
            advance(gpu(health=source), to)


def test_only_an_operator_brings_a_drained_device_back():
    assert TRANSITIONS[Health.DRAINED] == {Health.HEALTHY}
    assert set(TRANSITIONS) == set(Health)


def test_who_is_on_a_device_largest_first():
    device = gpu(occupants=(stranger(1), stranger(30.2, orphan=True)))
    assert busy_sentence(device) == (
        "busy: pid 4711 (python) left over by an ended job, 30.2 GiB; pid 4711 (python) of user x, 1.0 GiB"
    )
    assert busy_sentence(gpu()) == ""
    assert device.foreign_mib == int(31.2 * GIB)


@pytest.mark.parametrize(
    ("field", "asked"),
    [
        ("gpus", {"gpus": 0}),
        ("gpus", {"gpus": 1025}),
        ("memory_mib", {"memory_mib": 0}),
        ("memory_mib", {"memory_mib": 2**40}),
        ("memory_mib", {"shared": True}),
        ("min_memory_mib", {"min_memory_mib": -1}),
        ("time_limit_s", {"time_limit_s": 0}),
        ("time_limit_s", {"time_limit_s": float("nan")}),
        ("earliest_start", {"earliest_start": float("inf")}),
        ("gpu_name", {"gpu_name": "x" * 200}),
    ],
)
def test_a_request_that_cannot_be_meant_names_its_field(field, asked):
    with pytest.raises(RequestError, match=rf"^{field}: ") as caught:
        Request(**asked)
    assert caught.value.field == field


def test_a_priority_out_of_range_is_refused():
    for priority in (-1, 11):
        with pytest.raises(RequestError, match="from 0 to 10"):
            entry(priority=priority)


def test_requests_that_fit_alike_have_one_shape():
    assert Request(gpu_name="H100").shape == Request(gpu_name="h100", time_limit_s=5, earliest_start=9).shape
    assert Request(gpus=1, same_machine=False).shape == Request(gpus=1).shape
    assert Request(gpus=2, same_machine=False).shape != Request(gpus=2).shape
