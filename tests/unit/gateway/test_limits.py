"""The limits that the OpenAPI document states are those that are enforced."""

from __future__ import annotations

import json
from typing import Any

import pytest

from swiftlet.training.v1 import params_pb2
from swiftlet_gateway.openapi import COMMITTED
from swiftlet_gateway.openapi.limits import count_limits, limits
from swiftletd.training.domain.params import MLLMTrainingParams

DOCUMENTED = json.loads(COMMITTED.read_text())["components"]["schemas"]["TrainingParams"]["properties"]
ENFORCED = MLLMTrainingParams.model_json_schema()["properties"]
ENFORCED["tuner_type"] = {name: value for name, value in ENFORCED["train_type"].items() if name != "default"}
LIMITS = (
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("minLength", "maxLength", "pattern", "enum", "maxItems", "maxProperties", "default"),
)
FIELDS = params_pb2.TrainingParams.DESCRIPTOR.fields_by_name


def flat(schema: dict[str, Any]) -> dict[str, Any]:
    """Limits of a value that may be null, and of the items of a list, on one level."""
    found: dict[str, Any] = {}
    for inner in (*schema.get("anyOf", ()), schema.get("items", {})):
        found |= flat(inner) if inner else {}
    return found | {name: schema[name] for name in LIMITS if schema.get(name) is not None}


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_each_training_parameter_is_documented_as_it_is_enforced(name):
    assert flat(DOCUMENTED[name]) == flat(ENFORCED[name])


@pytest.mark.parametrize(
    ("field", "comment", "found"),
    [
        ("seed", "Seed, 0 to 10.", {"minimum": 0, "maximum": 10}),
        ("seed", "From 1; 1 if not given.", {"minimum": 1, "default": 1}),
        ("seed", "Lines, 0 or more.", {"minimum": 0}),
        ("seed", "Bits. One of 1, 2 or 4.", {"enum": [1, 2, 4]}),
        ("epsilon", "Above all, above 0 and below 1.", {"exclusiveMinimum": 0, "exclusiveMaximum": 1}),
        ("epsilon", "Share, 0 to below 0.5.", {"minimum": 0, "exclusiveMaximum": 0.5}),
        ("epsilon", "Rate; 1e-05 if not given.", {"default": 1e-5}),
        ("packing", "Pack; true if not given.", {"default": True}),
        ("system", "Prompt, 1 to 9 characters.", {"minLength": 1, "maxLength": 9}),
        ("system", "When, RFC 3339; empty until then.", {}),
        ("system", "RFC 3339 time after which it starts.", {"format": "date-time"}),
    ],
)
def test_limits_are_read_from_the_words_of_a_comment(field, comment, found):
    assert limits(FIELDS[field], comment) == found


def test_lists_and_maps_have_counts():
    assert count_limits("Names, at most 64 items, each 1 to 9 characters.") == {"maxItems": 64}
    assert count_limits("Flags, at most 9 entries.") == {"maxProperties": 9}
