"""Each parameter has its effect on the command line: none is taken and then forgotten."""

from __future__ import annotations

from typing import Any

import pytest

from swiftletd.training.domain.command import Trainer, TrainingTask, train_command
from swiftletd.training.domain.param_catalogue import swift_of
from swiftletd.training.domain.param_fields import RlhfType
from swiftletd.training.domain.params import Method, MLLMTrainingParams, TrainerType, parse_params
from unit.training.test_command import flags

TRAINER = Trainer(python="/env/bin/python", version="4.6.0")
GRPO = {"rlhf_type": "grpo", "reward_funcs": ["format"]}
# A value that isn't the default, and what has to be there besides it.
CHANGED: dict[str, tuple[Any, dict[str, Any]]] = {
    "num_epochs": (2.5, {}),
    "batch_size": (8, {}),
    "learning_rate": (2e-5, {}),
    "gradient_accumulation_steps": (8, {}),
    "eval_steps": (7, {}),
    "save_steps": (7, {}),
    "save_total_limit": (3, {}),
    "logging_steps": (1, {}),
    "max_length": (4096, {}),
    "warmup_ratio": (0.1, {}),
    "dataloader_num_workers": (0, {}),
    "dataset_num_proc": (1, {}),
    "save_only_model": (False, {}),
    "torch_dtype": ("float16", {}),
    "train_type": ("adalora", {}),
    "lora_rank": (64, {}),
    "lora_alpha": (128, {}),
    "max_steps": (20, {}),
    "val_dataset": (["/data/val.jsonl", "org/val#20"], {}),
    "split_dataset_ratio": (0.1, {}),
    "model_type": ("qwen2_vl", {}),
    "template": ("qwen2_vl", {}),
    "system": ("Be brief.", {}),
    "lr_scheduler_type": ("linear", {}),
    "weight_decay": (0.01, {}),
    "target_modules": (["q_proj", "v_proj"], {}),
    "gradient_checkpointing": (False, {}),
    "attn_impl": ("sdpa", {}),
    "packing": (True, {"attn_impl": "flash_attn"}),
    "deepspeed": ("zero2", {}),
    "seed": (7, {}),
    "resume_from_checkpoint": ("/out/old/checkpoint-20", {}),
    "report_to": (["tensorboard", "wandb"], {}),
    "quant_bits": (8, {}),
    "quant_method": ("hqq", {"quant_bits": 4}),
    "vit_lr": (1e-6, {}),
    "aligner_lr": (1e-6, {}),
    "freeze_vit": (False, {}),
    "freeze_aligner": (False, {}),
    "beta": (0.5, {}),
    "ref_model": ("/models/ref", {"train_type": "full"}),
    "loss_type": ("ipo", {}),
    "label_smoothing": (0.1, {}),
    "rpo_alpha": (0.5, {}),
    "reward_funcs": (["format", "accuracy"], {"rlhf_type": "grpo", "reward_funcs": ["format"]}),
    "reward_weights": ([0.5], GRPO),
    "num_generations": (2, GRPO),
    "max_completion_length": (256, GRPO),
    "temperature": (0.7, GRPO),
    "epsilon": (0.1, GRPO),
    "num_iterations": (2, GRPO),
}
BY_OTHER_TESTS = {"rlhf_type", "extra_args"}  # in test_command.py


def test_no_parameter_is_left_out():
    assert CHANGED.keys() | BY_OTHER_TESTS == MLLMTrainingParams.model_fields.keys()


@pytest.mark.parametrize("name", CHANGED)
def test_a_parameter_reaches_its_flag(name: str):
    value, besides = CHANGED[name]
    belongs = swift_of(MLLMTrainingParams, name)
    assert belongs.flags
    before, after = (
        command_flags(belongs.rlhf, besides),
        command_flags(belongs.rlhf, {**besides, name: value}),
    )
    for flag in belongs.flags:
        assert after[flag] == words(value)
        assert after[flag] != before.get(flag)


def command_flags(rlhf: frozenset[RlhfType], raw: dict[str, Any]) -> dict[str, list[str]]:
    """The flags of a multimodal training, which has all parameters."""
    method = Method.RLHF if rlhf else Method.SFT
    task = TrainingTask(
        method=method,
        params=parse_params(TrainerType.MLLM, method, raw),
        model="/models/m",
        dataset="/data/d.jsonl",
        output_dir="/out",
    )
    return flags(train_command(task, TRAINER, ("0",)))


def words(value: Any) -> list[str]:
    """A value as words of the command line."""
    if isinstance(value, list):
        return [str(item) for item in value]
    return [str(value).lower() if isinstance(value, bool) else str(value)]
