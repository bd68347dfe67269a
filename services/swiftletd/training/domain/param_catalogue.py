"""What the parameter models say about themselves: defaults, comparison, documentation, ms-swift flags."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from swiftletd.training.domain.param_fields import RlhfType, Swift, TrainerType
from swiftletd.training.domain.param_models import BaseTrainingParams, LLMTrainingParams, MLLMTrainingParams

MODELS: Mapping[TrainerType, type[BaseTrainingParams]] = MappingProxyType(
    {TrainerType.LLM: LLMTrainingParams, TrainerType.MLLM: MLLMTrainingParams}
)
ALIASES: Mapping[str, str] = MappingProxyType({"tuner_type": "train_type"})
DESCRIPTIONS: Mapping[TrainerType, str] = MappingProxyType(
    {
        TrainerType.LLM: "Parameters for training language models.",
        TrainerType.MLLM: "Parameters for training multimodal models, with learning rates of their own "
        "for the vision tower and the aligner.",
    }
)


def swift_of(model: type[BaseTrainingParams], name: str) -> Swift:
    """The ms-swift flags of a field (none for `extra_args`)."""
    return next((m for m in model.model_fields[name].metadata if isinstance(m, Swift)), Swift(()))


@cache
def rlhf_fields(model: type[BaseTrainingParams]) -> Mapping[str, frozenset[RlhfType]]:
    """The fields that belong to rlhf, with the algorithms that have them."""
    return {name: only for name in model.model_fields if (only := swift_of(model, name).rlhf)}


@cache
def swiftlet_flags() -> Mapping[str, str]:
    """Each ms-swift flag that a parameter carries, with the parameter's name."""
    return {
        flag: name
        for model in MODELS.values()
        for name in model.model_fields
        for flag in swift_of(model, name).flags
    }


def defaults(trainer_type: TrainerType) -> dict[str, Any]:
    """Every parameter that has a default of its own; one that is left to ms-swift is not in it."""
    return MODELS[trainer_type]().model_dump(exclude_none=True)


def compare() -> dict[str, Any]:
    """The two types side by side: `{shared, llm_only, mllm_only}`, name -> default (None: ms-swift's)."""
    llm, mllm = (model().model_dump() for model in MODELS.values())
    return {
        "shared": {name: value for name, value in llm.items() if name in mllm},
        "llm_only": {name: value for name, value in llm.items() if name not in mllm},
        "mllm_only": {name: value for name, value in mllm.items() if name not in llm},
    }


def describe(trainer_type: TrainerType) -> list[dict[str, Any]]:
    """One entry per parameter: `{name, description, default, flags, aliases, rlhf_types, range}`.

    `range` holds what applies of minimum, maximum, exclusive_minimum, exclusive_maximum, choices.
    """
    model = MODELS[trainer_type]
    schema = model.model_json_schema()["properties"]
    return [
        {
            "name": name,
            "description": field.description or "",
            "default": field.default,
            "flags": list(swift_of(model, name).flags),
            "aliases": [alias for alias, target in ALIASES.items() if target == name],
            "rlhf_types": sorted(swift_of(model, name).rlhf),
            "range": _range(schema[name]),
        }
        for name, field in model.model_fields.items()
    ]


_RANGE_WORDS = {
    "minimum": "minimum",
    "maximum": "maximum",
    "exclusiveMinimum": "exclusive_minimum",
    "exclusiveMaximum": "exclusive_maximum",
    "enum": "choices",
}


def _range(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The limits in a JSON schema; those of an optional value stand one level down."""
    found = {ours: schema[theirs] for theirs, ours in _RANGE_WORDS.items() if theirs in schema}
    for inner in (*schema.get("anyOf", ()), schema.get("items", {})):
        found = {**_range(inner), **found} if inner else found
    return found
