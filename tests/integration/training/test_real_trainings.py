"""Every method really trains on a CPU: checked by preflight, run by our command, merged by our export."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swiftletd.training.adapters.preflight import Order, Places, Reader, inspect
from swiftletd.training.adapters.swift_schema import SwiftSchema
from swiftletd.training.domain.command import (
    CHECKPOINT,
    Command,
    Trainer,
    TrainingTask,
    export_command,
    job_output_dir,
    train_command,
)
from swiftletd.training.domain.extra_args import many_flags
from swiftletd.training.domain.params import Method, TrainerType, parse_params

EXAMPLES = Path(__file__).parents[3] / "examples"
QUICK = {
    "max_steps": 2,
    "save_steps": 2,
    "logging_steps": 1,
    "max_length": 256,
    "dataloader_num_workers": 0,
    "dataset_num_proc": 1,
    "gradient_accumulation_steps": 2,
    "report_to": "none",
}

pytestmark = pytest.mark.timeout(180)


def run(command: Command, **placeholders: str) -> str:
    """What the process printed; fails with its last lines."""
    argv = [word.replace(CHECKPOINT, placeholders.get("checkpoint", CHECKPOINT)) for word in command.argv]
    ended = subprocess.run(
        argv, env={**os.environ, **command.env}, capture_output=True, text=True, timeout=150, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    return ended.stdout + ended.stderr


@pytest.fixture(scope="session")
def tiny_llm(trainer_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("llm")
    make = [trainer_python, EXAMPLES / "make_tiny_model.py", out, "--arch", "qwen3", "--repeats", "1"]
    subprocess.run(make, check=True, capture_output=True, timeout=120)
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()[:16]]
    told = {
        "train": rows,
        "pairs": [{**row, "rejected_response": "I will not say."} for row in rows],
        "text": [{"text": row["messages"][1]["content"]} for row in rows],
    }
    for name, some in told.items():
        (out / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in some))
    return out


@pytest.fixture(scope="session")
def tiny_vlm(trainer_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("vlm")
    make = [trainer_python, Path(__file__).with_name("make_tiny_vlm.py"), out]
    subprocess.run(make, check=True, capture_output=True, timeout=120)
    return out


Train = Callable[..., tuple[Path, str]]


@pytest.fixture
def train(trainer_python: Path, tmp_path: Path) -> Train:
    """Train as the service would; gives the directory of the results and what was printed."""
    installation = SwiftSchema(trainer_python).installation()

    def start(base: Path, trainer: TrainerType, method: Method, raw: dict[str, Any], **paths: str) -> Any:
        places = Places(base=base, roots=(tmp_path,))
        params = parse_params(trainer, method, {**QUICK, **raw})
        asked = Order(method=method, params=params, output_dir=str(tmp_path), **paths)
        order = inspect(asked, places, installation, Reader(), rows=100).order
        task = TrainingTask(
            method=method,
            params=order.params,
            model=order.model_path,
            dataset=order.data_path,
            output_dir=job_output_dir(order.output_dir, "job", 1),
            many=many_flags(installation, method),
        )
        printed = run(train_command(task, Trainer(python=str(trainer_python), version=installation.version)))
        return Path(task.output_dir), printed

    return start


def ended_well(output: Path) -> bool:
    rows = [json.loads(line) for line in (output / "logging.jsonl").read_text().splitlines()]
    return any("train_runtime" in row for row in rows) and (output / "checkpoint-2").is_dir()


@pytest.mark.parametrize(
    ("method", "raw", "data"),
    [
        (Method.PT, {"split_dataset_ratio": 0.2}, "text.jsonl"),
        (
            Method.RLHF,
            {"beta": 0.2, "rpo_alpha": 1.0, "label_smoothing": 0.1, "system": "--be kind"},
            "pairs.jsonl",
        ),
        (
            Method.RLHF,
            {
                "rlhf_type": "grpo",
                "reward_funcs": ["format", "repetition"],
                "reward_weights": [1.0, 0.5],
                "num_generations": 2,
                "max_completion_length": 8,
                "extra_args": {"modules_to_save": "embed_tokens lm_head"},
            },
            "train.jsonl#8",
        ),
    ],
    ids=["pt", "dpo", "grpo"],
)
def test_methods_beyond_sft_train(
    train: Train, tiny_llm: Path, method: Method, raw: dict[str, Any], data: str
):
    output, _ = train(tiny_llm, TrainerType.LLM, method, raw, model_path="tiny-qwen3", data_path=data)

    assert ended_well(output)


def test_adapters_are_merged_into_a_model(train: Train, trainer_python: Path, tiny_llm: Path):
    output, _ = train(
        tiny_llm, TrainerType.LLM, Method.SFT, {}, model_path="tiny-qwen3", data_path="train.jsonl"
    )
    params = parse_params(TrainerType.LLM, Method.SFT, {})
    version = SwiftSchema(trainer_python).installation().version
    export = export_command(params, Trainer(python=str(trainer_python), version=version))

    assert export
    run(export, checkpoint=str(output / "checkpoint-2"))
    assert (output / "checkpoint-2-merged" / "model.safetensors").is_file()


def test_an_own_learning_rate_trains_more_of_a_multimodal_model(train: Train, tiny_vlm: Path):
    def trainable(raw: dict[str, Any]) -> float:
        model = {"model_type": "llava1_5_hf", **raw}
        output, printed = train(
            tiny_vlm, TrainerType.MLLM, Method.SFT, model, model_path="model", data_path="train.jsonl"
        )
        assert ended_well(output)
        (millions,) = set(re.findall(r"\(([\d.]+)M Trainable", printed))
        return float(millions)

    assert trainable({"vit_lr": 1e-5, "aligner_lr": 2e-5}) > trainable({})
