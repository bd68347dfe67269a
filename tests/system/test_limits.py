"""What the OpenAPI document says of a value is what is enforced: just outside is a 400 that names the field.

And the other way round: no value is refused for a limit that the document doesn't have.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from support.suite import Suite
from swiftlet_gateway.openapi import COMMITTED

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(120)]
DOCUMENT = json.loads(COMMITTED.read_text())
SCHEMAS = DOCUMENT["components"]["schemas"]
BASE = {  # what a body needs besides the field in question; nothing of it is to run
    "CreateTrainingJobRequest": {
        "model_path": "a/b",
        "data_path": "a/b",
        "output_dir": "o",
        "auto_start": False,
    },
    "CreateTypedTrainingJobRequest": {
        "model_path": "a/b",
        "data_path": "a/b",
        "output_dir": "o",
        "auto_start": False,
    },
    "CreateDeploymentRequest": {"model_path": "a/b"},
    "MoveQueueItemRequest": {"priority": 1},
}
TEXT, INT32 = "x" * 9000, 2**31 - 1
# Refused for what it means and not for a limit: a place that is not allowed, a token that is not one of ours.
MEANING = {"output_dir", "model_path", "data_path", "page_token", "resume_token"}


@dataclass(frozen=True, slots=True)
class Place:
    """A field of a call: `path` within the body, or the name of a query parameter."""

    verb: str
    url: str
    path: tuple[str, ...]
    schema: dict[str, Any]
    base: dict[str, Any] | None

    @property
    def name(self) -> str:
        return ".".join(self.path)


def resolve(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema itself where it is only named."""
    return SCHEMAS[schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


def fields(
    schema: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """All fields of a body, those of inner messages too."""
    for name, inner in schema["properties"].items():
        found = resolve(inner)
        yield from fields(found, (*path, name)) if "properties" in found else [((*path, name), found)]


def places() -> Iterator[Place]:
    """Each field of each call; unset parts of a path are a job that there isn't."""
    for url, item in DOCUMENT["paths"].items():
        for verb, call in item.items():
            filled = url.replace("{job_id}", "no-such-job")
            for parameter in call["parameters"]:
                if parameter["in"] == "query":
                    yield Place(verb, filled, (parameter["name"],), resolve(parameter["schema"]), None)
            if "requestBody" in call:
                named = call["requestBody"]["content"]["application/json"]["schema"]["$ref"].rsplit("/", 1)[1]
                for path, schema in fields(SCHEMAS[named]):
                    yield Place(verb, filled, path, schema, BASE.get(named, {}))


def outside(schema: dict[str, Any]) -> Iterator[Any]:
    """Values just outside of what a schema allows."""
    whole = schema.get("type") == "integer"
    for name, sign in (("minimum", -1), ("maximum", 1), ("exclusiveMinimum", 0), ("exclusiveMaximum", 0)):
        if name in schema:
            yield schema[name] + sign * (1 if whole else max(0.001, abs(schema[name]) * 1e-9))
    if "enum" in schema:
        yield "nonsense" if isinstance(schema["enum"][0], str) else max(schema["enum"]) + 1
    if "maxLength" in schema:
        yield "a" * (schema["maxLength"] + 1)
    if schema.get("minLength"):
        yield ""
    if "pattern" in schema:
        yield "-8 apples-"
    if "format" in schema and schema["format"] == "date-time":
        yield "yesterday"
    if "maxItems" in schema:
        yield [1 if schema["items"]["type"] == "number" else "a"] * (schema["maxItems"] + 1)
    if "maxProperties" in schema:
        yield {f"a{number}": "b" for number in range(schema["maxProperties"] + 1)}
    if "items" in schema:
        yield from ([value] for value in outside(resolve(schema["items"])))


def unlimited(schema: dict[str, Any]) -> Iterator[Any]:
    """Extreme values that a schema has nothing against."""
    if schema.get("type") == "integer":
        yield from () if {"minimum", "enum"} & schema.keys() else [-INT32]
        yield from () if {"maximum", "enum"} & schema.keys() else [INT32]
    if schema.get("type") == "number":
        yield from () if {"minimum", "exclusiveMinimum"} & schema.keys() else [-1e300]
        yield from () if {"maximum", "exclusiveMaximum"} & schema.keys() else [1e300]
    if schema.get("type") == "string" and not {"maxLength", "enum", "pattern", "format"} & schema.keys():
        yield TEXT


def send(suite: Suite, place: Place, value: Any) -> httpx.Response:
    """The call with that value in that place."""
    if place.base is None:
        return suite.api.request(place.verb, place.url, params={place.name: value})
    body: dict[str, Any] = json.loads(json.dumps(place.base))
    *parents, name = place.path
    owner = body
    for parent in parents:
        owner = owner.setdefault(parent, {})
    owner[name] = value
    if place.path[0] == "llm_params":
        body["task_type"] = "llm"
    return suite.api.request(place.verb, place.url, json=body)


def blamed(reply: httpx.Response) -> list[str]:
    """The fields that a refusal names."""
    details = reply.json()["details"] if reply.status_code == httpx.codes.BAD_REQUEST else []
    return [v["field"] for d in details for v in d.get("field_violations", ())]


def told(place: Place, value: Any, reply: httpx.Response) -> str:
    """What was sent and answered, in a line."""
    return (
        f"{place.verb} {place.url} {place.name}={str(value)[:40]!r}: {reply.status_code} {reply.text[:200]}"
    )


def named(place: Place) -> set[str]:
    """How a refusal may name the place: of the trainer's parameters, those of the other type are ignored."""
    return {place.name, *(f"{place.name}[{number}]" for number in range(3))}


PLACES = [place for place in places() if place.path[0] != "llm_params"]  # the same as mllm_params, but fewer


def test_just_outside_of_a_documented_limit_is_a_400_that_names_the_field(fast: Suite) -> None:
    tried, wrong = 0, []
    for place in PLACES:
        if place.url.endswith("/stream") and place.name == "resume_token":
            continue
        for value in outside(place.schema):
            reply = send(fast, place, value)
            tried += 1
            if not named(place) & set(blamed(reply)):
                wrong.append(told(place, value, reply))
    assert not wrong, "\n".join(wrong)
    assert tried > 200


def test_no_value_is_refused_for_a_limit_that_is_not_documented(fast: Suite) -> None:
    wrong = []
    for place in PLACES:
        if place.url.endswith("/stream") or place.name in MEANING:
            continue
        for value in unlimited(place.schema):
            reply = send(fast, place, value)
            if place.name in blamed(reply):
                wrong.append(told(place, value, reply))
    assert not wrong, "\n".join(wrong)
