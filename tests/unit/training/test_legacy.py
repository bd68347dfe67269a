"""The older API's names and its one parameter block."""

from __future__ import annotations

import pytest

from swiftletd.training.domain.legacy import Blocks, chosen_block, parse_blocks, trainer_type_of
from swiftletd.training.domain.params import (
    InvalidParams,
    Method,
    MLLMTrainingParams,
    TrainerType,
    defaults,
    to_dict,
)


@pytest.mark.parametrize(
    ("word", "trainer"),
    [
        ("llm", TrainerType.LLM),
        ("language_model", TrainerType.LLM),
        ("mllm", TrainerType.MLLM),
        ("MultiModal", TrainerType.MLLM),
        ("", TrainerType.MLLM),
    ],
)
def test_task_types(word: str, trainer: TrainerType):
    assert trainer_type_of(word) is trainer


def test_an_unknown_task_type_is_told_the_known_ones():
    with pytest.raises(InvalidParams, match="task_type: must be llm, language_model, mllm or multimodal"):
        trainer_type_of("vision")


def test_a_multimodal_job_with_only_an_old_vit_lr():
    params = parse_blocks("multimodal", Method.SFT, Blocks(train_params={"vit_lr": 3e-5}))

    assert isinstance(params, MLLMTrainingParams)
    assert to_dict(params) == {**defaults(TrainerType.MLLM), "vit_lr": 3e-5, "freeze_vit": False}


def test_the_typed_block_wins_over_the_old_one():
    blocks = Blocks(llm_params={"lora_rank": 64}, train_params={"lora_rank": 8, "vit_lr": 1.0})

    assert parse_blocks("llm", Method.SFT, blocks).lora_rank == 64


def test_an_empty_typed_block_is_still_the_typed_block():
    assert chosen_block(TrainerType.LLM, Blocks(llm_params={}, train_params={"lora_rank": 8})) == (
        "llm_params",
        {},
    )


def test_the_other_types_block_is_not_looked_at():
    blocks = Blocks(llm_params={"nonsense": 1}, mllm_params={"batch_size": 2})

    assert parse_blocks("mllm", Method.SFT, blocks).batch_size == 2


def test_without_any_block_the_defaults():
    assert to_dict(parse_blocks("language_model", Method.SFT, Blocks())) == defaults(TrainerType.LLM)


def test_an_old_parameter_that_the_type_lacks_is_named_in_its_block():
    with pytest.raises(InvalidParams, match=r"train_params\.vit_lr: is a parameter of mllm training only"):
        parse_blocks("llm", Method.SFT, Blocks(train_params={"vit_lr": 1e-5}))
