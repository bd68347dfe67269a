"""A REST body is merged into the request, or refused with a sentence for each field at fault."""

from __future__ import annotations

import json

import pytest
from google.api.httpbody_pb2 import HttpBody
from google.protobuf import descriptor_pool, json_format, message_factory
from hypothesis import given
from hypothesis import strategies as st

from swiftlet.deploy.v1 import deploy_service_pb2
from swiftlet.gpu.v1 import gpu_service_pb2
from swiftlet.training.v1.job_pb2 import TASK_TYPE_MULTIMODAL, TRAINER_TYPE_LLM, Resources
from swiftlet.training.v1.training_service_pb2 import (
    DESCRIPTOR,
    CreateTrainingJobRequest,
    CreateTypedTrainingJobRequest,
    StopTrainingJobRequest,
)
from swiftletd.kernel.errors import InvalidArgument, MalformedJson
from swiftletd.kernel.rpc.json_body import RAW_FIELD, merge_json_body, refuse_query, takes_body
from swiftletd.kernel.rpc.json_message import MAX_VIOLATIONS, fill

CREATE = {
    "task_type": "multimodal",
    "data_path": "AI-ModelScope/coco#20000",
    "model_path": "Qwen/Qwen2.5-7B-Instruct",
    "output_dir": "output/training_001",
    "priority": 5,
    "auto_start": False,
    "llm_params": {"num_epochs": 3, "target_modules": ["q_proj"], "extra_args": {"use_hf": "true"}},
    "mllm_params": {"vit_lr": 1e-6},
}


def through_the_gateway(request, body):
    """The request as it arrives: what the path bound, and the raw body in a field that it doesn't know."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    envelope = HttpBody(content_type="application/json", data=raw).SerializeToString()
    tag, length = RAW_FIELD << 3 | 2, len(envelope)
    data = request.SerializeToString() + _varint(tag) + _varint(length) + envelope
    return type(request).FromString(data)


def _varint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def merged(body, request=None):
    arrived = through_the_gateway(request or CreateTrainingJobRequest(), body)
    merge_json_body(arrived)
    return arrived


def refused(body, request=None):
    with pytest.raises(InvalidArgument) as caught:
        merged(body, request)
    return {violation.field: violation.message for violation in caught.value.violations}


def test_a_good_body_gives_what_protobuf_json_would_give():
    expected = json_format.ParseDict(
        {**CREATE, "task_type": "TASK_TYPE_MULTIMODAL"}, CreateTrainingJobRequest()
    )
    assert merged(CREATE) == expected


def test_a_native_request_passes_untouched():
    request = CreateTrainingJobRequest(data_path="a")
    merge_json_body(request)
    assert request == CreateTrainingJobRequest(data_path="a")


def test_an_empty_body_leaves_what_the_path_bound():
    assert merged(b"", StopTrainingJobRequest(job_id="a")) == StopTrainingJobRequest(job_id="a")


def test_the_body_adds_to_what_the_path_bound():
    request = merged({"request_id": "r"}, StopTrainingJobRequest(job_id="a"))
    assert request == StopTrainingJobRequest(job_id="a", request_id="r")


def test_a_body_that_repeats_the_path_is_fine_and_one_that_contradicts_it_is_not():
    assert merged({"job_id": "a"}, StopTrainingJobRequest(job_id="a")).job_id == "a"
    wrong = refused({"job_id": "b"}, StopTrainingJobRequest(job_id="a"))
    assert wrong == {"job_id": "the path says 'a'; leave it out of the body"}
    typed = CreateTypedTrainingJobRequest(trainer_type=TRAINER_TYPE_LLM)
    assert merged({"trainer_type": "llm"}, typed).trainer_type == TRAINER_TYPE_LLM
    assert list(refused({"trainer_type": "mllm"}, typed)) == ["trainer_type"]


@pytest.mark.parametrize(
    "word", ["multimodal", "MULTIMODAL", "Multimodal", "TASK_TYPE_MULTIMODAL", "task_type_multimodal"]
)
def test_enum_words_are_taken_in_any_case(word):
    assert merged({"task_type": word}).task_type == TASK_TYPE_MULTIMODAL


def test_an_explicit_zero_of_an_optional_field_is_present_and_null_is_absent():
    assert merged({"auto_start": False}).HasField("auto_start")
    assert not merged({"auto_start": None}).HasField("auto_start")
    assert merged({"llm_params": {}}).HasField("llm_params")


def test_three_point_zero_is_an_integer():
    assert merged({"priority": 3.0}).priority == 3


@pytest.mark.parametrize(
    ("body", "field", "message"),
    [
        ({"priority": "high"}, "priority", 'must be an integer, got "high"'),
        ({"priority": "5"}, "priority", 'must be an integer, got "5"'),
        ({"priority": True}, "priority", "must be an integer, got true"),
        ({"priority": 1.5}, "priority", "must be an integer, got 1.5"),
        ({"priority": 2**31}, "priority", "must be an integer from -2147483648 to 2147483647"),
        ({"priority": [1]}, "priority", "must be an integer, got a list"),
        ({"time_limit": "1"}, "time_limit", 'must be a number, got "1"'),
        ({"time_limit": 10**400}, "time_limit", "must be a number up to 1.7e308"),
        (b'{"time_limit": 1e999}', "time_limit", "must be a number up to 1.7e308"),
        ({"auto_start": 1}, "auto_start", "must be true or false, got 1"),
        ({"auto_start": "true"}, "auto_start", 'must be true or false, got "true"'),
        ({"data_path": 5}, "data_path", "must be a string, got 5"),
        (b'{"data_path": "\\ud800"}', "data_path", "has half of a surrogate pair, which is no character"),
        ({"llm_params": []}, "llm_params", "must be an object, got a list"),
        ({"llm_params": {"lora_rank": "8"}}, "llm_params.lora_rank", 'must be an integer, got "8"'),
        ({"llm_params": {"report_to": "wandb"}}, "llm_params.report_to", 'must be a list, got "wandb"'),
        ({"llm_params": {"report_to": [1]}}, "llm_params.report_to[0]", "must be a string, got 1"),
        ({"llm_params": {"extra_args": {"a": 1}}}, "llm_params.extra_args.a", "must be a string, got 1"),
        ({"llm_params": {"extra_args": 1}}, "llm_params.extra_args", "must be an object, got 1"),
        (
            {"task_type": "vision"},
            "task_type",
            'must be one of llm, mllm, language_model, multimodal; got "vision"',
        ),
        ({"task_type": 1}, "task_type", "must be one of llm, mllm, language_model, multimodal; got 1"),
        ({"data_pth": "x"}, "data_pth", "unknown field; did you mean 'data_path'?"),
        ({"dataPath": "x"}, "dataPath", "unknown field; did you mean 'data_path'?"),
        (
            {"llm_params": {"lora_rnak": 1}},
            "llm_params.lora_rnak",
            "unknown field; did you mean 'lora_rank'?",
        ),
        ({"xyzzy": 1}, "xyzzy", "unknown field; /docs lists those that there are"),
        (
            {"resources": {"nodes": 2}},
            "resources.nodes",
            f"unknown field; there are: {', '.join(f.name for f in Resources.DESCRIPTOR.fields)}",
        ),
        (b'{"priority": 1, "priority": 2}', "priority", "is given more than once; leave one"),
        (
            b'{"llm_params": {"seed": 1, "seed": 2}}',
            "llm_params.seed",
            "is given more than once; leave one",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(body, field, message):
    assert refused(body) == {field: message}


def test_all_faults_are_told_at_once():
    wrong = refused({"priority": "a", "bogus": 1, "llm_params": {"seed": "b"}})
    assert list(wrong) == ["priority", "bogus", "llm_params.seed"]


def test_very_many_and_very_long_faults_are_cut():
    wrong = refused({f"{i}{'x' * 10_000}": 1 for i in range(1000)})
    assert len(wrong) == MAX_VIOLATIONS
    assert sum(len(field) + len(message) for field, message in wrong.items()) < 4096


def test_a_field_name_that_is_no_text_can_be_told():
    assert list(refused(b'{"\\ud800": 1}')) == ["?"]


@pytest.mark.parametrize(
    ("body", "message", "line", "column"),
    [
        (b'{"priority": 1,}', "The body is not JSON: ", "1", "15"),
        (b'{\n "priority": }', "The body is not JSON: Expecting value at line 2, column 14.", "2", "14"),
        (b" ", "The body is not JSON: Expecting value at line 1, column 2.", "1", "2"),
        (b"[1]", "The body must be a JSON object", "1", "1"),
        (b"null", "The body must be a JSON object", "1", "1"),
        (b'{"a": NaN}', "The body is not usable JSON: NaN is not a JSON number.", None, None),
        (b'{"a": -Infinity}', "The body is not usable JSON: -Infinity is not a JSON number.", None, None),
        (b'{"a": "\xff"}', "The body is not UTF-8: byte 7 can't be read.", None, None),
        (b'{"a":' * 100_000, "The body is nested too deeply.", None, None),
        (b'{"a": ' + b"9" * 5000 + b"}", "The body is not usable JSON: ", None, None),
    ],
)
def test_what_is_not_a_json_object_is_malformed(body, message, line, column):
    with pytest.raises(MalformedJson) as caught:
        merged(body)
    assert caught.value.message.startswith(message)
    assert caught.value.metadata.get("line") == line
    if column != "15":  # where exactly a trailing comma is noticed depends on the Python version
        assert caught.value.metadata.get("column") == column


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([field.name for field in CreateTrainingJobRequest.DESCRIPTOR.fields])


@given(st.dictionaries(FIELDS, JSON) | st.binary(max_size=50))
def test_whatever_is_sent_is_merged_or_refused(body):
    try:
        request = merged(body)
    except InvalidArgument as error:
        assert error.violations  # noqa: PT017 - either way out is fine; what comes with it is checked
    except MalformedJson as error:
        assert error.message  # noqa: PT017
    else:
        assert CreateTrainingJobRequest.FromString(request.SerializeToString()) == request


@pytest.mark.parametrize(
    "service",
    [
        DESCRIPTOR.services_by_name["TrainingService"],
        deploy_service_pb2.DESCRIPTOR.services_by_name["DeployService"],
        gpu_service_pb2.DESCRIPTOR.services_by_name["GpuService"],
    ],
    ids=lambda service: service.name,
)
def test_every_request_that_has_a_body_can_be_read(service):
    methods = [m for m in service.methods if takes_body(f"/{service.full_name}/{m.name}")]
    assert methods
    for method in methods:
        kind = descriptor_pool.Default().FindMessageTypeByName(method.input_type.full_name)
        assert fill(message_factory.GetMessageClass(kind)(), {"no_such_field": 1})


def test_only_calls_with_a_body_are_touched():
    assert takes_body("/swiftlet.training.v1.TrainingService/CreateTrainingJob")
    assert not takes_body("/swiftlet.training.v1.TrainingService/ListTrainingJobs")
    assert not takes_body("/no.such.Service/Method")


def test_a_call_with_a_body_has_no_query_parameters():
    refuse_query("/api/v1/training/jobs")
    with pytest.raises(InvalidArgument) as caught:
        refuse_query("/api/v1/training/jobs?priority=3&x=1")
    assert caught.value.violations[0].field == "priority"
