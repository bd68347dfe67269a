"""Rules that look at more than one parameter. Each is pure and answers with violations."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from swiftletd.training.domain.param_catalogue import rlhf_fields
from swiftletd.training.domain.param_fields import Method, RlhfType, TrainerType
from swiftletd.training.domain.param_models import BaseTrainingParams
from swiftletd.training.domain.violations import Violation, one_of

OWN_RATE: Mapping[str, str] = {"vit_lr": "freeze_vit", "aligner_lr": "freeze_aligner"}
QUANT_BITS: Mapping[str, tuple[int, ...]] = {"bnb": (4, 8), "hqq": (1, 2, 3, 4, 8), "eetq": (8,)}
DEFAULT_QUANT_METHOD = "bnb"
FLASH = ("flash_attn", "flash_attention_2", "flash_attention_3", "flash_attention_4")
DEFAULT_GENERATIONS = 4


def unfreeze(trainer_type: TrainerType, raw: Mapping[str, Any]) -> tuple[dict[str, Any], list[Violation]]:
    """Make an own learning rate effective: ms-swift ignores it while the part of the model is frozen."""
    settled, violations = dict(raw), list[Violation]()
    if trainer_type is not TrainerType.MLLM:
        return settled, violations
    for rate, freeze in OWN_RATE.items():
        if rate not in raw:
            continue
        if raw.get(freeze) is True:
            text = f"has no effect while {freeze} is true; leave out {rate}, or set {freeze} to false"
            violations.append(Violation(rate, text))
        settled.setdefault(freeze, False)
    return settled, violations


def method_defaults(method: Method, raw: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with what the method adds where the client said nothing."""
    if method is not Method.RLHF:
        return dict(raw)
    filled = {"rlhf_type": RlhfType.DPO.value, **raw}
    if str(filled["rlhf_type"]).lower() == RlhfType.GRPO:
        filled.setdefault("num_generations", DEFAULT_GENERATIONS)
    return filled


def rlhf_type_of(params: BaseTrainingParams, method: Method) -> str | None:
    """The algorithm, for method rlhf only."""
    return (params.rlhf_type or RlhfType.DPO.value) if method is Method.RLHF else None


def check_cpu(params: Mapping[str, Any]) -> list[Violation]:
    """What can not be trained where there is no GPU; `params` as `to_dict` gives them."""
    needs_gpu = {
        "packing": params.get("packing"),
        "deepspeed": params.get("deepspeed"),
        "quant_bits": params.get("quant_bits"),
        "attn_impl": params.get("attn_impl") in FLASH,
    }
    faults = (_NEEDS_GPU[name] for name, set_so in needs_gpu.items() if set_so)
    return [
        Violation(name, text, "IMPOSSIBLE_REQUEST", {"asked": "a GPU", "have": "none"})
        for name, text in faults
    ]


_NEEDS_GPU: Mapping[str, tuple[str, str]] = {
    name: (name, f"{what}, and no machine of this suite has one; {instead}")
    for name, what, instead in (
        ("packing", "needs flash attention, which needs a GPU", "leave it out"),
        ("deepspeed", "needs a GPU", "leave it out"),
        ("quant_bits", "trains a quantised model, which needs a GPU", "leave it out"),
        ("attn_impl", "is flash attention, which needs a GPU", "use sdpa or eager"),
    )
}


def check_rules(params: BaseTrainingParams, method: Method, devices: int) -> list[Violation]:
    """All faults that only show when parameters are seen together; `devices`: the GPUs the job asks for."""
    rules = (_validation_data(params), _quantisation(params), _packing(params), _tuning(params))
    return [fault for rule in (*rules, _method(params, method), _grpo(params, devices)) for fault in rule]


def _validation_data(params: BaseTrainingParams) -> Iterator[Violation]:
    if params.val_dataset and params.split_dataset_ratio > 0:
        yield Violation("split_dataset_ratio", "must be 0 where val_dataset is set; choose one of the two")


def _quantisation(params: BaseTrainingParams) -> Iterator[Violation]:
    if params.quant_bits is None:
        if params.quant_method is not None:
            yield Violation("quant_method", "needs quant_bits; set quant_bits, or leave out quant_method")
        return
    if params.train_type == "full":
        text = "a quantised model can not be trained with train_type full; use train_type lora"
        yield Violation("quant_bits", text)
    method = params.quant_method or DEFAULT_QUANT_METHOD
    if params.quant_bits not in QUANT_BITS[method]:
        known = one_of(map(str, QUANT_BITS[method]))
        yield Violation("quant_bits", f"must be {known} for quant_method {method}")


def _packing(params: BaseTrainingParams) -> Iterator[Violation]:
    if params.packing and params.attn_impl not in FLASH:
        yield Violation("packing", f"needs flash attention; set attn_impl to {one_of(FLASH)}")


def _tuning(params: BaseTrainingParams) -> Iterator[Violation]:
    if params.target_modules and params.train_type == "full":
        text = "has no effect with train_type full; leave it out, or use train_type lora"
        yield Violation("target_modules", text)


def _method(params: BaseTrainingParams, method: Method) -> Iterator[Violation]:
    if method is Method.PT and params.system:
        yield Violation("system", "is not for method pt, which trains on plain text; leave it out")
    chosen = params.rlhf_type if method is Method.RLHF else None
    for name, only in rlhf_fields(type(params)).items():
        if getattr(params, name) is None or chosen in only:
            continue
        if chosen is None:
            yield Violation(name, f"is for method rlhf only, this job's method is {method}; leave it out")
        else:
            yield Violation(name, f"is for rlhf_type {one_of(sorted(only))} only; leave it out")
    if params.ref_model and params.train_type != "full":
        text = (
            "is for train_type full only: with adapters the model without them is the reference; leave it out"
        )
        yield Violation("ref_model", text)


def _grpo(params: BaseTrainingParams, devices: int) -> Iterator[Violation]:
    if params.rlhf_type != "grpo":
        return
    if not params.reward_funcs:
        yield Violation("reward_funcs", 'is required for rlhf_type grpo, for example ["format"]')
    elif params.reward_weights and len(params.reward_weights) != len(params.reward_funcs):
        text = f"must have one weight for each of reward_funcs ({len(params.reward_funcs)})"
        yield Violation("reward_weights", text)
    per_step = params.batch_size * params.gradient_accumulation_steps * devices
    generations = params.num_generations or DEFAULT_GENERATIONS
    if per_step % generations:
        text = (
            f"({generations}) must divide batch_size x gradient_accumulation_steps x devices ({per_step}); "
            "change one of them"
        )
        yield Violation("num_generations", text)
