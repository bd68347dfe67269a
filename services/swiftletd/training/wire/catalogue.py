"""What the parameters are: defaults, types, comparison. All of it comes from the parameter models."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from swiftlet.training.v1 import job_pb2, params_pb2
from swiftlet.training.v1 import training_service_pb2 as pb
from swiftletd.training.domain.legacy import BACKWARD_COMPATIBILITY, TASK_TYPES
from swiftletd.training.domain.param_fields import TrainerType
from swiftletd.training.domain.params import DESCRIPTIONS, compare, defaults, describe
from swiftletd.training.wire.convert import to_params, to_value, word

_MODELS = {TrainerType.LLM: "LLMTrainingParams", TrainerType.MLLM: "MLLMTrainingParams"}
_NUMBERS = {kind: job_pb2.TrainerType.Value(f"TRAINER_TYPE_{kind.name}") for kind in TrainerType}


def default_params(number: job_pb2.TrainerType.ValueType) -> pb.GetDefaultParamsResponse:
    """Defaults of one type, or of all for 0."""
    name = word(job_pb2.TrainerType, number)
    if not name:
        return pb.GetDefaultParamsResponse(
            available_types=[
                pb.TypeDefaults(
                    type=_NUMBERS[t], default_params=to_params(defaults(t)), description=DESCRIPTIONS[t]
                )
                for t in TrainerType
            ]
        )
    kind = TrainerType(name)
    return pb.GetDefaultParamsResponse(
        trainer_type=number, default_params=to_params(defaults(kind)), description=DESCRIPTIONS[kind]
    )


def supported_types() -> pb.ListSupportedTypesResponse:
    """The trainer types and their old names."""
    return pb.ListSupportedTypesResponse(
        supported_types=[
            pb.SupportedType(
                type=_NUMBERS[t],
                task_types=TASK_TYPES[t],
                params_model=_MODELS[t],
                description=DESCRIPTIONS[t],
            )
            for t in TrainerType
        ],
        backward_compatibility=pb.BackwardCompatibility(**BACKWARD_COMPATIBILITY),
    )


@cache
def comparison() -> pb.CompareParamsResponse:
    """The two types side by side."""
    sides = compare()
    described = {entry["name"]: entry for kind in TrainerType for entry in describe(kind)}
    infos = {
        side: [_info(name, value, described[name]) for name, value in sides[side].items()]
        for side in ("shared", "llm_only", "mllm_only")
    }
    return pb.CompareParamsResponse(
        common_params=infos["shared"],
        llm_only_params=infos["llm_only"],
        mllm_only_params=infos["mllm_only"],
        summary=pb.ParamCounts(
            common=len(infos["shared"]), llm_only=len(infos["llm_only"]), mllm_only=len(infos["mllm_only"])
        ),
    )


def _info(name: str, default: Any, about: Mapping[str, Any]) -> params_pb2.ParamInfo:
    return params_pb2.ParamInfo(
        name=name,
        type=_type_of(name),
        default=to_value(default),
        description=about["description"],
        range=_in_words(about["range"]),
        flag=" ".join(f"--{flag}" for flag in about["flags"]),
    )


def _type_of(name: str) -> str:
    field = params_pb2.TrainingParams.DESCRIPTOR.fields_by_name[name]
    if field.message_type:
        return "object"
    if field.is_repeated:
        return "array"
    types = {field.CPPTYPE_INT32: "integer", field.CPPTYPE_DOUBLE: "number", field.CPPTYPE_BOOL: "boolean"}
    return types.get(field.cpp_type, "string")


def _in_words(limits: Mapping[str, Any]) -> str:
    """A range for people: "1 to 1000", "more than 0, at most 1", "one of a, b"."""
    if choices := limits.get("choices"):
        return "one of " + ", ".join(map(str, choices))
    if "minimum" in limits and "maximum" in limits:
        return f"{limits['minimum']:g} to {limits['maximum']:g}"
    parts = {
        "minimum": "at least",
        "exclusive_minimum": "more than",
        "maximum": "at most",
        "exclusive_maximum": "less than",
    }
    return ", ".join(f"{text} {limits[key]:g}" for key, text in parts.items() if key in limits)
