"""From the environment to the rules of scheduling."""

from __future__ import annotations

import pytest

from swiftletd.gpu.domain.policy import FairShare, Ordering, Quota
from swiftletd.gpu.main import policy
from swiftletd.gpu.settings import GpuSettings
from swiftletd.kernel.settings import load


def test_quotas_and_fair_share_are_off_by_default():
    rules = policy(GpuSettings())
    assert (dict(rules.quotas), rules.default_quota, rules.fair_share) == ({}, None, None)
    assert (rules.ordering, rules.stranger_fraction, rules.stranger_free_mib) == (Ordering.FIFO, 0.3, 20480)


def test_rules_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("GPU_QUOTAS", '{"nlp": {"max_gpus": 4}, "*": {"max_jobs": 2}}')
    monkeypatch.setenv("GPU_FAIR_SHARE", "true")
    monkeypatch.setenv("GPU_FAIR_SHARE_HALF_LIFE", "3600")
    monkeypatch.setenv("GPU_ORDERING", "shortest-service")
    rules = policy(load(GpuSettings))
    assert rules.quota("nlp") == Quota(max_gpus=4)
    assert rules.quota("vision") == Quota(max_jobs=2)
    assert rules.fair_share == FairShare(half_life_s=3600)
    assert rules.ordering is Ordering.SHORTEST_SERVICE


@pytest.mark.parametrize(
    ("name", "value"),
    [("GPU_MEMORY_THRESHOLD", "2"), ("QUEUE_CHECK_INTERVAL", "0"), ("GPU_QUOTAS", '{"a": {"gpus": 1}}')],
)
def test_a_wrong_value_stops_the_start_and_names_the_variable(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit, match=name):
        load(GpuSettings)
