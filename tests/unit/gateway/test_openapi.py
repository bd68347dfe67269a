"""The OpenAPI document is of the protos, whole, and true."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from google.protobuf import message_factory
from jsonschema import Draft202012Validator

from swiftlet_gateway.openapi import COMMITTED
from swiftlet_gateway.openapi.comments import comments
from swiftlet_gateway.openapi.document import build
from swiftlet_gateway.openapi.examples import ANSWERS, BODIES
from swiftlet_gateway.rpcs import rpcs
from swiftletd.kernel.rpc.json_message import fill

PROTOS = Path(__file__).parents[3] / "protos"
DOCUMENT = json.loads(COMMITTED.read_text())
OPERATIONS = [
    (path, verb, operation) for path, item in DOCUMENT["paths"].items() for verb, operation in item.items()
]
SCHEMAS = DOCUMENT["components"]["schemas"]


def test_the_committed_document_is_what_the_protos_give():
    assert build(comments(PROTOS)) == DOCUMENT


def test_every_rest_form_has_an_operation():
    forms = {(binding.path, binding.verb.lower()) for rpc in rpcs() for binding in rpc.bindings}
    assert {(path, verb) for path, verb, _ in OPERATIONS} == forms


def test_operation_ids_are_unique():
    ids = [operation["operationId"] for _, _, operation in OPERATIONS]
    assert len(ids) == len(set(ids))


def test_everything_that_is_referred_to_is_there():
    for name in re.findall(r'"#/components/(\w+/\w+)"', json.dumps(DOCUMENT)):
        kind, member = name.split("/")
        assert member in DOCUMENT["components"][kind], name


@pytest.mark.parametrize("name", SCHEMAS)
def test_each_schema_is_one(name):
    Draft202012Validator.check_schema(SCHEMAS[name])


def test_each_variable_of_a_path_is_a_required_parameter():
    for path, _, operation in OPERATIONS:
        given = {p["name"] for p in operation["parameters"] if p["in"] == "path" and p["required"]}
        assert given == set(re.findall(r"\{(\w+)\}", path)), path


def test_codes_are_those_of_the_contract():
    jobs = DOCUMENT["paths"]["/api/v1/training/jobs"]
    one = DOCUMENT["paths"]["/api/v1/training/jobs/{job_id}"]
    assert "201" in jobs["post"]["responses"]
    assert one["delete"]["responses"]["204"] == {"description": "Done."}
    assert "503" in DOCUMENT["paths"]["/api/v1/training/health"]["get"]["responses"]
    assert {"400", "404", "default"} <= set(one["get"]["responses"])
    assert {"413", "415"} <= set(jobs["post"]["responses"])


def test_streams_are_server_sent_events():
    answer = DOCUMENT["paths"]["/api/v1/training/jobs/{job_id}/logs/stream"]["get"]["responses"]["200"]
    named = answer["content"]["text/event-stream"]["x-event-schema"]["$ref"].rsplit("/", 1)[-1]
    assert "resume_token" in SCHEMAS[named]["properties"]


def test_limits_and_required_fields_are_those_of_the_comments():
    create = SCHEMAS["CreateTrainingJobRequest"]
    assert create["required"] == ["data_path", "model_path", "output_dir"]
    assert create["additionalProperties"] is False
    priority = create["properties"]["priority"]
    assert (priority["minimum"], priority["maximum"]) == (0, 10)
    assert create["properties"]["job_id"]["maxLength"] == 63
    sizes = [
        p for p in DOCUMENT["paths"]["/api/v1/training/jobs"]["get"]["parameters"] if p["name"] == "size"
    ]
    assert (sizes[0]["schema"]["maximum"], sizes[0]["schema"]["default"]) == (100, 10)


def test_enums_are_lower_case_words():
    words = [word for schema in SCHEMAS.values() for word in schema.get("enum", ())]
    assert words
    assert all(word == word.lower() for word in words)
    assert SCHEMAS["TrainerType"]["enum"] == ["unspecified", "llm", "mllm"]


def test_everything_is_explained():
    for path, verb, operation in OPERATIONS:
        assert operation["summary"], (path, verb)
        assert all(p["description"] for p in operation["parameters"]), (path, verb)
    for name, schema in SCHEMAS.items():
        assert schema["description"], name
        assert all(p["description"] for p in schema.get("properties", {}).values()), name


REQUESTS = {rpc.request.name: rpc.request for rpc in rpcs()} | {
    rpc.response.name: rpc.response for rpc in rpcs()
}
EXAMPLES = [(kind, name, body) for kind, all_ in (BODIES | ANSWERS).items() for name, body in all_.items()]


@pytest.mark.parametrize(("kind", "name", "body"), EXAMPLES, ids=lambda value: str(value)[:40])
def test_each_example_is_one(kind, name, body):
    assert fill(message_factory.GetMessageClass(REQUESTS[kind])(), body) == []
    resolved = json.loads(json.dumps({**SCHEMAS[kind], "components": DOCUMENT["components"]}))
    Draft202012Validator(resolved).validate(body)
