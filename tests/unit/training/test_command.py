"""The command line that a checked job becomes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.training.domain.command import (
    MASTER_PORT,
    Command,
    Trainer,
    TrainingTask,
    export_command,
    job_output_dir,
    train_command,
)
from swiftletd.training.domain.param_rules import check_cpu
from swiftletd.training.domain.params import Method, TrainerType, parse_params, to_dict

V4 = Trainer(python="/env/bin/python", version="4.6.0")
V3 = Trainer(python="/env/bin/python", version="3.12.6")


def task(raw: dict[str, Any], *, trainer: TrainerType = TrainerType.LLM, **changes: Any) -> TrainingTask:
    method = changes.pop("method", Method.SFT)
    params = parse_params(trainer, method, raw, devices=changes.pop("devices", 1))
    paths = {"model": "/models/qwen", "dataset": "/data/train.jsonl", "output_dir": "/out/job-1"}
    return TrainingTask(method=method, params=params, **{**paths, **changes})


def flags(command: Command) -> dict[str, list[str]]:
    """Each flag with its values, by name; fails where one is given twice."""
    found: dict[str, list[str]] = {}
    words = list(
        command.argv[command.argv.index("-m", len(command.argv) - 1 - command.argv[::-1].index("-m")) + 2 :]
    )
    for word in words:
        if word.startswith("--"):
            name, _, value = word[2:].partition("=")
            assert name not in found
            found[name] = [value] if value else []
        else:
            found[name].append(word)
    return found


def test_a_job_with_defaults_on_the_cpu():
    command = train_command(task({}), V4)

    assert command.argv[:3] == ("/env/bin/python", "-m", "swift.cli.sft")
    assert flags(command) == {
        "model": ["/models/qwen"],
        "dataset": ["/data/train.jsonl"],
        "output_dir": ["/out/job-1"],
        "add_version": ["false"],
        "check_model": ["false"],
        "use_cpu": ["true"],
        "num_train_epochs": ["1"],
        "per_device_train_batch_size": ["1"],
        "per_device_eval_batch_size": ["1"],
        "learning_rate": ["0.0001"],
        "gradient_accumulation_steps": ["4"],
        "eval_steps": ["100"],
        "save_steps": ["100"],
        "save_total_limit": ["2"],
        "logging_steps": ["5"],
        "max_length": ["2048"],
        "warmup_ratio": ["0.05"],
        "dataloader_num_workers": ["4"],
        "dataset_num_proc": ["4"],
        "save_only_model": ["true"],
        "torch_dtype": ["bfloat16"],
        "tuner_type": ["lora"],
        "lora_rank": ["16"],
        "lora_alpha": ["32"],
        "split_dataset_ratio": ["0.0"],
    }
    assert command.env["CUDA_VISIBLE_DEVICES"] == ""
    assert command.env["OMP_NUM_THREADS"] == "1"
    assert command.env["HF_HUB_OFFLINE"] == "1"


def test_version_3_has_the_older_name_of_the_tuner():
    found = flags(train_command(task({"tuner_type": "full"}), V3))

    assert found["train_type"] == ["full"]
    assert "tuner_type" not in found


def test_one_gpu_needs_no_launcher():
    command = train_command(task({}), V4, ("3",))

    assert command.argv[:3] == ("/env/bin/python", "-m", "swift.cli.sft")
    assert "use_cpu" not in flags(command)
    assert command.env["CUDA_VISIBLE_DEVICES"] == "3"
    assert "OMP_NUM_THREADS" not in command.env


def test_several_gpus_get_a_process_each_and_a_port_that_is_chosen_at_the_start():
    command = train_command(task({}), V4, ("0", "2"))

    assert command.argv[1:5] == ("-m", "torch.distributed.run", "--nproc_per_node", "2")
    assert command.argv[7:11] == ("--master_port", MASTER_PORT, "-m", "swift.cli.sft")
    assert command.env["CUDA_VISIBLE_DEVICES"] == "0,2"


def test_a_hub_id_needs_the_hub():
    assert "HF_HUB_OFFLINE" not in train_command(task({}, model="Qwen/Qwen3-0.6B"), V4).env
    assert "HF_HUB_OFFLINE" not in train_command(task({"val_dataset": "AI-ModelScope/coco#20"}), V4).env


class TestMultimodal:
    def test_frozen_parts_get_no_rate(self):
        found = flags(train_command(task({}, trainer=TrainerType.MLLM), V4))

        assert found["freeze_vit"] == ["true"]
        assert "vit_lr" not in found

    def test_a_rate_that_was_set_takes_effect(self):
        found = flags(train_command(task({"vit_lr": 1e-6}, trainer=TrainerType.MLLM), V4))

        assert (found["vit_lr"], found["freeze_vit"]) == (["1e-06"], ["false"])
        assert "aligner_lr" not in found


def test_preferences_name_their_algorithm():
    found = flags(train_command(task({"beta": 0.2}, method=Method.RLHF), V4))

    assert (found["rlhf_type"], found["beta"]) == (["dpo"], ["0.2"])


def test_grpo():
    raw = {"rlhf_type": "grpo", "reward_funcs": ["format", "accuracy"], "num_generations": 2}
    command = train_command(task(raw, method=Method.RLHF), V4)

    assert command.argv[2] == "swift.cli.rlhf"
    assert flags(command)["reward_funcs"] == ["format", "accuracy"]


def test_full_training_in_float32_is_neither_mixed_nor_lora():
    found = flags(train_command(task({"train_type": "full", "torch_dtype": "float32"}), V4))

    assert (found["fp16"], found["bf16"]) == (["false"], ["false"])
    assert "lora_rank" not in found


def test_quantised_training_names_the_library():
    assert flags(train_command(task({"quant_bits": 4}), V4, ("0",)))["quant_method"] == ["bnb"]

    hqq = {"quant_bits": 4, "quant_method": "hqq"}
    assert flags(train_command(task(hqq), V4, ("0",)))["quant_method"] == ["hqq"]


def test_a_job_that_may_be_tried_again_keeps_the_optimizer():
    found = flags(train_command(task({}, keep_optimizer=True, resume_from="/out/job-1/checkpoint-20"), V4))

    assert found["save_only_model"] == ["false"]
    assert found["resume_from_checkpoint"] == ["/out/job-1/checkpoint-20"]


def test_a_checkpoint_on_stop():
    assert flags(train_command(task({}, checkpoint_on_stop=True), V4))["enable_jit_checkpoint"] == ["true"]


def test_extra_arguments_come_as_they_are_and_lists_in_words():
    raw = {"extra_args": {"optim": "adamw torch", "modules_to_save": "embed_tokens lm_head"}}
    found = flags(train_command(task(raw, many=frozenset({"modules_to_save"})), V4))

    assert found["optim"] == ["adamw torch"]
    assert found["modules_to_save"] == ["embed_tokens", "lm_head"]


def test_a_text_that_looks_like_a_flag_stays_a_text():
    assert "--system=--output_dir /etc" in train_command(task({"system": "--output_dir /etc"}), V4).argv


@given(system=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1))
def test_a_system_prompt_is_never_more_than_one_value(system: str):
    plain = train_command(task({}), V4).argv
    argv = train_command(task({"system": system}), V4).argv

    added = (f"--system={system}",) if system.startswith("-") else ("--system", system)
    assert plain in [
        argv[:at] + argv[at + len(added) :] for at in range(len(argv)) if argv[at:][: len(added)] == added
    ]


class TestExport:
    def test_adapters_are_merged_beside_the_checkpoint(self):
        command = export_command(task({}).params, V4)

        assert command is not None
        assert command.argv == (
            "/env/bin/python",
            "-m",
            "swift.cli.export",
            "--adapters",
            "{checkpoint}",
            "--merge_lora",
            "true",
            "--output_dir",
            "{checkpoint}-merged",
        )

    @pytest.mark.parametrize("train_type", ["full", "boft"])
    def test_what_can_not_be_merged_is_the_export_itself(self, train_type: str):
        assert export_command(task({"train_type": train_type}).params, V4) is None


def test_each_attempt_has_a_directory_of_its_own():
    assert job_output_dir("/out/", "job-1", 1) == "/out/job-1"
    assert job_output_dir("/out", "job-1", 2) == "/out/job-1.2"


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        ({"deepspeed": "zero2"}, "deepspeed"),
        ({"quant_bits": 4}, "quant_bits"),
        ({"attn_impl": "flash_attn"}, "attn_impl"),
    ],
)
def test_what_a_cpu_can_not_train(raw: dict[str, Any], field: str):
    assert [fault.field for fault in check_cpu(to_dict(task(raw).params))] == [field]


def test_a_cpu_trains_the_defaults():
    assert check_cpu(to_dict(task({}).params)) == []
