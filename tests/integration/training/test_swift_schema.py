"""What is read from the sources of the real ms-swift, against what it says when it is imported."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest

from swiftletd.deploy.domain.command import Backend, Server, deploy_command
from swiftletd.training.adapters.swift_schema import SwiftSchema
from swiftletd.training.domain import param_fields
from swiftletd.training.domain.command import Command, Trainer, TrainingTask, export_command, train_command
from swiftletd.training.domain.extra_args import REFUSED
from swiftletd.training.domain.installation import Installation
from swiftletd.training.domain.param_catalogue import MODELS, swift_of
from swiftletd.training.domain.params import Method, TrainerType, parse_params


@pytest.fixture(scope="module")
def installation(trainer_python: Path) -> Installation:
    return SwiftSchema(trainer_python).installation()


@pytest.fixture(scope="module")
def said(trainer_python: Path) -> dict[str, Any]:
    """Importing ms-swift takes seconds, so it is asked once. The last line is the answer: it prints more."""
    script = Path(__file__).with_name("what_swift_says.py")
    run = subprocess.run([trainer_python, script], capture_output=True, text=True, timeout=120, check=True)
    answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return answer


@pytest.mark.timeout(150)
def test_the_flags_are_those_of_the_imported_classes(installation: Installation, said: dict[str, Any]):
    assert {command: sorted(flags) for command, flags in installation.flags.items()} == said["flags"]


def test_the_model_types_are_the_registered_ones(installation: Installation, said: dict[str, Any]):
    found = {
        name: {
            "architectures": sorted(set(kind.architectures)),
            "templates": sorted(kind.templates),
            "multimodal": kind.multimodal,
        }
        for name, kind in installation.model_types.items()
    }
    assert found == said["models"]


def test_the_templates_are_the_registered_ones(installation: Installation, said: dict[str, Any]):
    assert set(said["templates"]) <= installation.templates


def test_every_word_that_a_parameter_takes_is_known(said: dict[str, Any]):
    def words(kind: Any) -> set[str]:
        return set(get_args(get_args(kind)[0]))

    assert words(param_fields.Tuner) <= set(said["tuners"])
    assert words(param_fields.Scheduler) <= set(said["schedulers"])
    assert words(param_fields.Reward) <= set(said["rewards"])


@pytest.mark.parametrize("trainer", TrainerType)
def test_every_parameter_has_a_real_flag(installation: Installation, trainer: TrainerType):
    model = MODELS[trainer]
    for name in model.model_fields:
        carried = swift_of(model, name)
        for method in [Method.RLHF] if carried.rlhf else list(Method):
            assert set(carried.flags) <= installation.flags[method].keys(), name


def test_refused_flags_exist_in_some_version(installation: Installation):
    of_version_3 = {"train_type"}
    assert REFUSED.keys() - of_version_3 <= installation.flags["rlhf"].keys()


def flags_of(command: Command) -> set[str]:
    own = command.argv[command.argv.index("-m", 4 if "torch.distributed.run" in command.argv else 0) + 2 :]
    return {word[2:].partition("=")[0] for word in own if word.startswith("--")}


@pytest.mark.parametrize(
    ("method", "trainer", "raw"),
    [
        (Method.SFT, TrainerType.LLM, {"torch_dtype": "float32", "quant_bits": 4}),
        (Method.SFT, TrainerType.MLLM, {"vit_lr": 1e-5, "aligner_lr": 1e-5}),
        (Method.PT, TrainerType.LLM, {"train_type": "full"}),
        (Method.RLHF, TrainerType.LLM, {"beta": 0.1, "rpo_alpha": 1.0}),
        (Method.RLHF, TrainerType.LLM, {"rlhf_type": "grpo", "reward_funcs": ["format"], "epsilon": 0.2}),
    ],
)
@pytest.mark.parametrize("gpus", [(), ("0",), ("0", "1")])
def test_every_flag_of_a_training_is_real(
    installation: Installation,
    method: Method,
    trainer: TrainerType,
    raw: dict[str, Any],
    gpus: tuple[str, ...],
):
    task = TrainingTask(
        method=method,
        params=parse_params(trainer, method, raw),
        model="/m",
        dataset="/d.jsonl",
        output_dir="/o",
        checkpoint_on_stop=True,
        resume_from="/o/checkpoint-1",
    )
    command = train_command(task, Trainer(python="python", version=installation.version), gpus)

    assert flags_of(command) <= installation.flags[method].keys()


def test_every_flag_of_an_export_is_real(installation: Installation):
    trainer = Trainer(python="python", version=installation.version)
    command = export_command(parse_params(TrainerType.LLM, Method.SFT, {}), trainer)

    assert command
    assert flags_of(command) <= installation.flags["export"].keys()


@pytest.mark.parametrize("backend", Backend)
def test_every_flag_of_a_deployment_is_real(installation: Installation, backend: Backend):
    server = Server(
        served_model_name="m",
        model="/m",
        backend=backend,
        max_model_len=1024,
        gpu_memory_utilization=0.5,
        model_type="qwen3",
        template="qwen3",
    )
    command = deploy_command(server, "python", installation.version, ("0", "1"))

    assert flags_of(command) <= installation.flags["deploy"].keys()
