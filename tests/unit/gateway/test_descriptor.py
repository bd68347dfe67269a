"""The descriptor set that Envoy reads says the same as the protos, in the words of JSON."""

from __future__ import annotations

import pytest
from google.api import annotations_pb2
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from swiftlet.training.v1 import job_pb2, training_service_pb2
from swiftlet_gateway.descriptor import RAW_FIELD, RAW_NAME, enum_words, envoy_descriptor, words_name
from swiftlet_gateway.rpcs import rpcs
from swiftletd.kernel.rpc import json_body


@pytest.fixture(scope="module")
def pool():
    found = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(envoy_descriptor("/other")).file:
        found.Add(file)
    return found


def message(pool, name):
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"swiftlet.training.v1.{name}"))


def test_the_first_word_of_each_enum_value_is_short_and_lower_case(pool):
    job = message(pool, "TrainingJob").FromString(
        job_pb2.TrainingJob(status=job_pb2.JOB_STATUS_RUNNING).SerializeToString()
    )
    assert json_format.MessageToDict(job) == {"status": "running"}


@pytest.mark.parametrize("word", ["running", "RUNNING", "JOB_STATUS_RUNNING"])
def test_every_spelling_is_known(pool, word):
    enum = pool.FindEnumTypeByName(words_name(job_pb2.JobStatus.DESCRIPTOR))
    assert enum.values_by_name[word].number == job_pb2.JOB_STATUS_RUNNING


def test_enums_stay_enums_with_their_numbers(pool):
    ours = job_pb2.JobStatus.DESCRIPTOR
    theirs = pool.FindEnumTypeByName(words_name(ours))
    assert {value.number for value in theirs.values} == {value.number for value in ours.values}
    assert enum_words(ours)[0] == "pending"


def test_a_body_travels_raw_in_the_field_where_the_services_look_for_it(pool):
    assert json_body.RAW_FIELD == RAW_FIELD
    for rpc in rpcs():
        request = pool.FindMessageTypeByName(rpc.request.full_name)
        has_raw = RAW_NAME in request.fields_by_name
        assert has_raw == any(binding.body for binding in rpc.bindings)
        if has_raw:
            assert request.fields_by_name[RAW_NAME].number == RAW_FIELD


def test_our_own_protos_are_left_alone():
    envoy_descriptor()
    assert RAW_NAME not in training_service_pb2.CreateTrainingJobRequest.DESCRIPTOR.fields_by_name


def test_the_rules_have_the_prefix_of_the_suite():
    files = descriptor_pb2.FileDescriptorSet.FromString(envoy_descriptor("/other")).file
    rules = [
        method.options.Extensions[annotations_pb2.http]
        for file in files
        for service in file.service
        for method in service.method
    ]
    assert rules
    for rule in rules:
        path = getattr(rule, rule.WhichOneof("pattern"))
        assert path.startswith(("/other/", "/metrics/"))


def test_the_details_of_errors_can_be_turned_into_json(pool):
    for name in ("ErrorInfo", "BadRequest", "RetryInfo"):
        assert pool.FindMessageTypeByName(f"google.rpc.{name}")
