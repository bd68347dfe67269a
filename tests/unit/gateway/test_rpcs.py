"""What is read from the protos about REST."""

from __future__ import annotations

import re

import pytest

from swiftlet_gateway.rpcs import Binding, rpcs

BY_NAME = {rpc.name: rpc for rpc in rpcs()}


def test_every_service_is_there():
    assert {rpc.upstream for rpc in rpcs()} == {"gpu", "training", "deploy"}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("CreateTrainingJob", 201),
        ("CreateTypedTrainingJob", 201),
        ("CreateDeployment", 201),
        ("DeleteTrainingJob", 204),
        ("DeleteTrainingJobs", 200),
        ("DeleteDeployment", 204),
        ("StopTrainingJob", 200),
        ("GetHealth", 200),
    ],
)
def test_the_status_of_success(name, status):
    assert BY_NAME[name].success == status


def test_only_reads_may_be_repeated():
    assert BY_NAME["ListTrainingJobs"].is_read
    assert not BY_NAME["DeleteTrainingJob"].is_read
    assert not BY_NAME["AddToDeployQueue"].is_read


def test_a_variable_with_one_value_is_a_part_of_the_path():
    paths = [binding.path for binding in BY_NAME["CreateTypedTrainingJob"].bindings]
    assert paths == ["/api/v1/training/llm/jobs", "/api/v1/training/mllm/jobs"]
    assert BY_NAME["CreateTypedTrainingJob"].bindings[0].variables == ("trainer_type",)


def test_a_path_matches_what_it_should_and_nothing_else():
    regex = Binding("GET", "/api/v1/jobs/{job_id}/log.txt", body=False).regex
    assert re.fullmatch(regex, "/api/v1/jobs/a%20b/log.txt")
    assert re.fullmatch(regex, "/api/v1/jobs/a/log.txt/")
    for path in ("/api/v1/jobs//log.txt", "/api/v1/jobs/a/b/log.txt", "/api/v1/jobs/a/logxtxt"):
        assert not re.fullmatch(regex, path)


def test_the_prefix_can_be_another_and_metrics_stay_outside_of_it():
    paths = {binding.path for rpc in rpcs("/swiftlet") for binding in rpc.bindings}
    assert "/swiftlet/training/jobs" in paths
    assert "/metrics/gpu" in paths
    assert not [path for path in paths if path.startswith("/api")]


def test_no_two_calls_have_the_same_verb_and_path():
    forms = [(binding.verb, binding.path) for rpc in rpcs() for binding in rpc.bindings]
    assert len(forms) == len(set(forms))
