"""Training parameters as the rest of the service uses them: plain mappings in, checked models out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from swiftletd.training.domain.param_catalogue import (
    ALIASES,
    DESCRIPTIONS,
    MODELS,
    compare,
    defaults,
    describe,
    swiftlet_flags,
)
from swiftletd.training.domain.param_fields import Method, RlhfType, TrainerType
from swiftletd.training.domain.param_messages import explain
from swiftletd.training.domain.param_models import BaseTrainingParams, LLMTrainingParams, MLLMTrainingParams
from swiftletd.training.domain.param_rules import check_rules, method_defaults, unfreeze
from swiftletd.training.domain.violations import InvalidParams, Violation, did_you_mean, one_of, placed, shown

__all__ = [
    "DESCRIPTIONS",
    "BaseTrainingParams",
    "InvalidParams",
    "LLMTrainingParams",
    "MLLMTrainingParams",
    "Method",
    "RlhfType",
    "TrainerType",
    "Violation",
    "compare",
    "defaults",
    "describe",
    "parse_method",
    "parse_params",
    "restore_params",
    "to_dict",
]


def parse_params(
    trainer_type: TrainerType, method: Method, raw: Mapping[str, Any], *, at: str = "", devices: int = 1
) -> BaseTrainingParams:
    """Check what a client sent and fill in the rest; None is a parameter that was not sent.

    `at` is the block's name in the request, for the violations ("train_params" gives "train_params.vit_lr");
    `devices` the number of GPUs that the job asks for. Raises InvalidParams with every fault found.
    """
    renamed, faults = _renamed(raw)
    known, unknown = _known(trainer_type, renamed)
    settled, frozen = unfreeze(trainer_type, method_defaults(method, known))
    faults = [*faults, *unknown, *frozen]
    try:
        params = MODELS[trainer_type].model_validate(settled)
    except ValidationError as error:
        raise InvalidParams(placed(at, _as_sent(raw, [*faults, *explain(error)]))) from None
    faults += check_rules(params, method, devices)
    if faults:
        raise InvalidParams(placed(at, _as_sent(raw, faults)))
    return params


def restore_params(trainer_type: TrainerType, stored: Mapping[str, Any]) -> BaseTrainingParams:
    """The parameters that `to_dict` wrote. Raises pydantic.ValidationError on anything else."""
    return MODELS[trainer_type].model_validate(dict(stored))


def to_dict(params: BaseTrainingParams) -> dict[str, Any]:
    """JSON-ready values of all parameters that have one; `restore_params` reads it back."""
    return params.model_dump(mode="json", exclude_none=True)


def parse_method(word: str) -> Method:
    """`sft`, `pt` or `rlhf` in any case; empty is sft. Raises InvalidParams on field `method`."""
    try:
        return Method(word.lower()) if word else Method.SFT
    except ValueError:
        text = f"must be {one_of(Method)} (got {shown(word)}).{did_you_mean(word, Method)}"
        raise InvalidParams([Violation(field="method", message=text)]) from None


def _renamed(raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Violation]]:
    """The mapping under current names; two names for one parameter must agree."""
    sent = {str(key): value for key, value in raw.items() if value is not None}
    renamed: dict[str, Any] = {key: value for key, value in sent.items() if key not in ALIASES}
    faults = []
    for alias, name in ALIASES.items():
        if alias in sent and _word(renamed.setdefault(name, sent[alias])) != _word(sent[alias]):
            text = f"is another name of {name}, and the two differ; send one of them"
            faults.append(Violation(field=alias, message=text))
    return renamed, faults


def _as_sent(raw: Mapping[str, Any], faults: Iterable[Violation]) -> list[Violation]:
    """The faults under the names that the client used."""
    aliases = {name: alias for alias, name in ALIASES.items() if alias in raw and name not in raw}
    return [replace(fault, field=aliases.get(fault.field, fault.field)) for fault in faults]


def _word(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _known(trainer_type: TrainerType, raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Violation]]:
    fields = MODELS[trainer_type].model_fields
    faults = [
        Violation(field=name, message=_unknown(trainer_type, name)) for name in raw if name not in fields
    ]
    return {name: value for name, value in raw.items() if name in fields}, faults


def _unknown(trainer_type: TrainerType, name: str) -> str:
    """Why the name is not taken, and what to write instead."""
    for other, model in MODELS.items():
        if name in model.model_fields:
            return f"is a parameter of {other} training only, this is {trainer_type} training; leave it out"
    if ours := swiftlet_flags().get(name):
        return f"is not a parameter here; Swiftlet's name for it is '{ours}'"
    hint = did_you_mean(name, [*MODELS[trainer_type].model_fields, *ALIASES])
    return f"is not a parameter.{hint or ' Other ms-swift flags go into extra_args'}"
