"""What a client may send as parameters, and what it is told when it may not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.training.domain.params import (
    InvalidParams,
    LLMTrainingParams,
    Method,
    MLLMTrainingParams,
    TrainerType,
    compare,
    defaults,
    describe,
    parse_method,
    parse_params,
    restore_params,
    to_dict,
)

LLM, MLLM = TrainerType.LLM, TrainerType.MLLM

CONTRACT = {
    "num_epochs": 1,
    "batch_size": 1,
    "learning_rate": 1e-4,
    "gradient_accumulation_steps": 4,
    "eval_steps": 100,
    "save_steps": 100,
    "save_total_limit": 2,
    "logging_steps": 5,
    "max_length": 2048,
    "warmup_ratio": 0.05,
    "dataloader_num_workers": 4,
    "dataset_num_proc": 4,
    "save_only_model": True,
    "torch_dtype": "bfloat16",
    "train_type": "lora",
    "lora_rank": 16,
    "lora_alpha": 32,
}


def faults(
    raw: dict[Any, Any], trainer: TrainerType = MLLM, method: Method = Method.SFT, **kwargs: Any
) -> dict[str, str]:
    with pytest.raises(InvalidParams) as caught:
        parse_params(trainer, method, raw, **kwargs)
    return {fault.field: fault.message for fault in caught.value.violations}


def test_the_defaults_are_those_of_the_contract():
    assert CONTRACT.items() <= defaults(LLM).items()
    assert {**CONTRACT, "vit_lr": 1e-5, "aligner_lr": 1e-5}.items() <= defaults(MLLM).items()
    assert "vit_lr" not in defaults(LLM)


def test_nothing_sent_is_the_defaults():
    assert to_dict(parse_params(LLM, Method.SFT, {})) == defaults(LLM)
    assert to_dict(parse_params(MLLM, Method.SFT, {})) == defaults(MLLM)


def test_a_null_is_a_parameter_that_was_not_sent():
    assert to_dict(
        parse_params(LLM, Method.SFT, {"batch_size": None, "target_modules": None, "nope": None})
    ) == defaults(LLM)


def test_lists_have_limits():
    assert "at least 1" in faults({"target_modules": []})["target_modules"]
    assert "at most 64" in faults({"target_modules": ["a"] * 65})["target_modules"]


def test_each_type_has_its_model():
    assert isinstance(parse_params(LLM, Method.SFT, {}), LLMTrainingParams)
    assert isinstance(parse_params(MLLM, Method.SFT, {}), MLLMTrainingParams)


def test_the_comparison_splits_what_only_one_type_has():
    sides = compare()

    assert CONTRACT.items() <= sides["shared"].items()
    assert sides["llm_only"] == {}
    assert set(sides["mllm_only"]) == {"vit_lr", "aligner_lr", "freeze_vit", "freeze_aligner"}


@pytest.mark.parametrize("trainer", TrainerType)
def test_every_parameter_is_described(trainer: TrainerType):
    entries = {entry["name"]: entry for entry in describe(trainer)}

    assert all(entry["description"] for entry in entries.values())
    assert entries["train_type"]["aliases"] == ["tuner_type"]
    assert entries["warmup_ratio"]["range"] == {"minimum": 0, "maximum": 1}
    assert entries["num_epochs"]["range"] == {"exclusive_minimum": 0, "maximum": 10_000}
    assert entries["quant_bits"]["range"] == {"choices": [1, 2, 3, 4, 8]}
    assert json.dumps(list(entries.values()))


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("num_epochs", 0, "must be greater than 0 (got 0)"),
        ("num_epochs", "3", "must be a number (got '3')"),
        ("batch_size", 0, "must be at least 1 (got 0)"),
        ("batch_size", 1.5, "must be a whole number (got 1.5)"),
        ("batch_size", True, "must be a whole number (got True)"),
        ("learning_rate", 0, "must be greater than 0 (got 0)"),
        ("learning_rate", 2.0, "must be at most 1 (got 2.0)"),
        ("learning_rate", float("nan"), "must be a finite number (got nan)"),
        ("warmup_ratio", 1.1, "must be at most 1 (got 1.1)"),
        ("split_dataset_ratio", 1, "must be less than 1 (got 1)"),
        ("save_only_model", 1, "must be true or false (got 1)"),
        ("lora_rank", -4, "must be at least 1 (got -4)"),
        ("seed", -1, "must be at least 0 (got -1)"),
        ("quant_bits", 5, "must be 1, 2, 3, 4 or 8 (got 5)"),
        ("system", "", "must not be empty (got '')"),
        ("system", "a\0b", "must not contain a NUL character (got 'a\\x00b')"),
        ("system", "on {port}", "must not contain {port}, which Swiftlet fills in itself"),
        ("torch_dtype", "bfloat", "Did you mean 'bfloat16'?"),
        ("train_type", "lorra", "Did you mean 'lora'?"),
        ("extra_args", "x", "must be an object of texts (got 'x')"),
    ],
)
def test_a_wrong_value_is_named_with_its_limit(name: str, value: Any, says: str):
    assert says in faults({name: value})[name]


def test_all_faults_are_told_at_once_under_the_clients_names():
    found = faults({"batch_size": 0, "lora_ran": 8, "reward_funcs": ["format", "nope"]}, at="train_params")

    assert set(found) == {"train_params.batch_size", "train_params.lora_ran", "train_params.reward_funcs[1]"}
    assert found["train_params.lora_ran"] == "is not a parameter. Did you mean 'lora_rank'?"


def test_a_parameter_of_the_other_type_is_named():
    assert "mllm training only" in faults({"vit_lr": 1e-5}, LLM)["vit_lr"]


def test_a_flag_of_ms_swift_is_told_our_name_for_it():
    assert "'num_epochs'" in faults({"num_train_epochs": 3})["num_train_epochs"]


def test_both_names_of_the_train_type_are_taken():
    assert parse_params(LLM, Method.SFT, {"tuner_type": "full"}).train_type == "full"
    assert parse_params(LLM, Method.SFT, {"tuner_type": "Full", "train_type": "full"}).train_type == "full"
    assert "differ" in faults({"tuner_type": "full", "train_type": "lora"})["tuner_type"]
    assert faults({"tuner_type": "nope"}).keys() == {"tuner_type"}


def test_one_word_is_a_list_of_one():
    params = parse_params(LLM, Method.SFT, {"report_to": "none", "val_dataset": "/data/val.jsonl"})

    assert params.report_to == ("none",)
    assert params.val_dataset == ("/data/val.jsonl",)


def test_whole_epochs_stay_whole():
    assert json.dumps(to_dict(parse_params(LLM, Method.SFT, {"num_epochs": 3.0}))["num_epochs"]) == "3"
    assert to_dict(parse_params(LLM, Method.SFT, {"num_epochs": 0.5}))["num_epochs"] == 0.5


class TestOwnLearningRates:
    def test_setting_one_unfreezes_its_part_and_no_other(self):
        params = parse_params(MLLM, Method.SFT, {"vit_lr": 1e-6})

        assert isinstance(params, MLLMTrainingParams)
        assert (params.freeze_vit, params.freeze_aligner) == (False, True)

    def test_the_default_leaves_all_frozen(self):
        params = parse_params(MLLM, Method.SFT, {})

        assert isinstance(params, MLLMTrainingParams)
        assert (params.freeze_vit, params.freeze_aligner) == (True, True)

    @pytest.mark.parametrize(("rate", "freeze"), [("vit_lr", "freeze_vit"), ("aligner_lr", "freeze_aligner")])
    def test_a_frozen_part_with_a_rate_is_a_contradiction(self, rate: str, freeze: str):
        assert freeze in faults({rate: 1e-5, freeze: True})[rate]


class TestMethods:
    def test_the_words(self):
        assert [parse_method(word) for word in ("", "SFT", "pt", "rlhf")] == [
            Method.SFT,
            Method.SFT,
            Method.PT,
            Method.RLHF,
        ]

    def test_a_wrong_word_is_told_the_right_ones(self):
        with pytest.raises(InvalidParams, match="method: must be sft, pt or rlhf"):
            parse_method("rlfh")

    def test_pre_training_has_no_system_prompt(self):
        assert "not for method pt" in faults({"system": "be kind"}, LLM, Method.PT)["system"]

    def test_rlhf_is_dpo_unless_told(self):
        assert parse_params(LLM, Method.RLHF, {"beta": 0.2}).rlhf_type == "dpo"

    def test_rlhf_parameters_need_the_method(self):
        assert "method rlhf only" in faults({"beta": 0.1}, LLM)["beta"]
        assert "method rlhf only" in faults({"rlhf_type": "dpo"}, LLM, Method.PT)["rlhf_type"]

    def test_an_algorithm_has_its_own_parameters(self):
        assert "grpo only" in faults({"num_generations": 2}, LLM, Method.RLHF)["num_generations"]

        raw = {"rlhf_type": "grpo", "reward_funcs": ["format"], "label_smoothing": 0.1}
        assert "dpo only" in faults(raw, LLM, Method.RLHF)["label_smoothing"]

    def test_one_weight_per_reward(self):
        raw = {"rlhf_type": "grpo", "reward_funcs": ["format", "accuracy"], "reward_weights": [1.0]}
        assert "one weight for each" in faults(raw, LLM, Method.RLHF)["reward_weights"]

    def test_grpo_needs_a_reward(self):
        assert "required" in faults({"rlhf_type": "grpo"}, LLM, Method.RLHF)["reward_funcs"]

    def test_grpo_works_with_a_reward_and_nothing_else(self):
        params = parse_params(LLM, Method.RLHF, {"rlhf_type": "grpo", "reward_funcs": "format"})

        assert params.num_generations == 4

    def test_generations_must_fit_the_batch_of_all_devices(self):
        raw = {"rlhf_type": "grpo", "reward_funcs": ["format"], "num_generations": 8}

        assert "(4)" in faults(raw, LLM, Method.RLHF)["num_generations"]
        assert parse_params(LLM, Method.RLHF, raw, devices=2).num_generations == 8

    def test_a_reference_model_is_for_full_training(self):
        assert "train_type full only" in faults({"ref_model": "/m"}, LLM, Method.RLHF)["ref_model"]
        assert parse_params(LLM, Method.RLHF, {"ref_model": "/m", "train_type": "full"}).ref_model == "/m"


@pytest.mark.parametrize(
    ("raw", "field", "says"),
    [
        ({"val_dataset": "/v", "split_dataset_ratio": 0.1}, "split_dataset_ratio", "val_dataset"),
        ({"quant_bits": 4, "train_type": "full"}, "quant_bits", "train_type lora"),
        ({"quant_bits": 3}, "quant_bits", "4 or 8 for quant_method bnb"),
        ({"quant_method": "bnb"}, "quant_method", "quant_bits"),
        ({"packing": True}, "packing", "attn_impl"),
        ({"target_modules": ["q_proj"], "train_type": "full"}, "target_modules", "train_type lora"),
    ],
)
def test_parameters_that_do_not_go_together(raw: dict[str, Any], field: str, says: str):
    assert says in faults(raw, LLM)[field]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.binary(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*compare()["shared"], *compare()["mllm_only"], "tuner_type", "nope"])


@given(
    trainer=st.sampled_from(TrainerType),
    method=st.sampled_from(Method),
    raw=st.dictionaries(names | st.text(max_size=8) | st.integers(), anything, max_size=6),
)
def test_whatever_is_sent_is_taken_or_refused(trainer: TrainerType, method: Method, raw: Any):
    try:
        params = parse_params(trainer, method, raw)
    except InvalidParams as refused:
        told = [fault.message for fault in refused.violations]
    else:
        told = ["taken"] if restore_params(trainer, to_dict(params)) == params else []
    assert told
    assert all(told)


good_llm = st.fixed_dictionaries(
    {},
    optional={
        "num_epochs": st.floats(0.01, 100) | st.integers(1, 100),
        "batch_size": st.integers(1, 64),
        "learning_rate": st.floats(1e-9, 1),
        "train_type": st.sampled_from(["lora", "FULL"]),
        "report_to": st.lists(st.sampled_from(["none", "tensorboard"]), min_size=1, max_size=2),
        "system": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1),
        "extra_args": st.dictionaries(st.sampled_from(["optim", "tf32"]), st.just("true"), max_size=2),
    },
)


@given(raw=good_llm)
def test_stored_parameters_come_back_as_they_were(raw: dict[str, Any]):
    params = parse_params(LLM, Method.SFT, raw)

    assert restore_params(LLM, json.loads(json.dumps(to_dict(params)))) == params


@given(
    raw=st.fixed_dictionaries({}, optional={"vit_lr": st.floats(1e-9, 1), "freeze_aligner": st.booleans()})
)
def test_what_is_frozen_survives_the_store(raw: dict[str, Any]):
    params = parse_params(MLLM, Method.SFT, raw)

    assert restore_params(MLLM, to_dict(params)) == params
