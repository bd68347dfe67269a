"""ms-swift itself under a runner: a tiny model is trained and exported, and a training is cancelled."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from support.runs import FakeRun
from support.waiting import eventually

ROOT = Path(__file__).parents[3]
PYTHON = os.environ.get("TRAINER_PYTHON") or str(ROOT / ".venv-trainer/bin/python")
BUDGET_KIB = 40 * 1024

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.timeout(240),
    pytest.mark.skipif(
        not Path(PYTHON).exists(), reason="there is no trainer environment: make setup-trainer"
    ),
]

ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_OFFLINE": "1",
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> dict[str, str]:
    """Paths of a tiny model and its data set."""
    out = tmp_path_factory.mktemp("tiny")
    command = [PYTHON, str(ROOT / "examples/make_tiny_model.py"), str(out)]
    made = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return json.loads(made.stdout)


def real(new_run, redis_server, tiny, *, steps: int, jit: bool = False, workers: int = 0) -> FakeRun:
    """A run with the commands of ms-swift in place of those of the double."""
    story: FakeRun = new_run(redis_server, steps=steps, env=ENVIRONMENT, grace_seconds=30, jit_checkpoint=jit)
    flags = {
        "model": tiny["model"],
        "dataset": tiny["train"],
        "output_dir": str(story.out),
        "add_version": "false",
        "tuner_type": "lora",
        "torch_dtype": "bfloat16",
        "max_steps": str(steps),
        "per_device_train_batch_size": "1",
        "gradient_accumulation_steps": "1",
        "save_steps": "10",
        "logging_steps": "5",
        "dataloader_num_workers": str(workers),
        "dataset_num_proc": "1",
        "enable_jit_checkpoint": str(jit).lower(),
        "save_only_model": str(not jit).lower(),
        "use_cpu": "true",
        "check_model": "false",
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    train, export = story.spec["steps"]
    train["argv"] = [PYTHON, "-m", "swift.cli.sft", *words]
    merge = ["--adapters", "{checkpoint}", "--merge_lora", "true", "--output_dir", "{checkpoint}-merged"]
    export["argv"] = [PYTHON, "-m", "swift.cli.export", *merge]
    return story


def wait_for_a_step(story: FakeRun, step: int) -> None:
    def trains() -> bool:
        assert story.directory.exit() is None, story.story()
        return (story.directory.progress() or {}).get("step", 0) >= step

    eventually(trains, f"step {step} did not come", story.story, seconds=120)


def test_a_real_training_and_its_export(new_run, redis_server, tiny):
    story = real(new_run, redis_server, tiny, steps=20)
    story.start()
    wait_for_a_step(story, 20)
    status = Path(f"/proc/{story.runner_pid()}/status").read_text()
    eventually(lambda: story.directory.exit() is not None, "it did not end", story.story, seconds=120)
    end = story.wait()
    assert end["success"], story.story()
    trained, exported = story.directory.steps()
    assert trained["result_path"] == str(story.out / "checkpoint-20")
    assert 0 < trained["final_loss"] < 10
    assert exported["result_path"] == str(story.merged)
    assert (story.merged / "config.json").exists()
    progress = story.directory.progress()
    assert (progress["step"], progress["total_steps"]) == (20, 20)
    assert progress["seconds_per_step"] > 0
    assert len(progress["checkpoints"]) == 2
    assert int(status.split("VmHWM:")[1].split()[0]) < BUDGET_KIB
    assert story.processes() == []


@pytest.mark.parametrize("jit", [False, True])
def test_a_real_training_is_cancelled(new_run, redis_server, tiny, jit):
    story = real(new_run, redis_server, tiny, steps=5000, jit=jit, workers=1)
    story.start()
    wait_for_a_step(story, 5)
    story.directory.request_stop("cancelled")
    eventually(lambda: story.directory.exit() is not None, "it did not end", story.story, seconds=180)
    end = story.wait()
    (step,) = story.directory.steps()
    assert (end["success"], end["stopped"], step["success"]) == (False, "cancelled", False)
    assert step["exit_code"] == (0 if jit else -15), story.story()
    if jit:
        saved = Path(step["result_path"])
        assert (saved / "trainer_state.json").exists()
        assert (saved / "optimizer.pt").exists()
    assert story.processes() == []


def test_nothing_of_two_real_ranks_is_left(new_run, redis_server, tiny):
    story = real(new_run, redis_server, tiny, steps=5000, jit=True)
    train = story.spec["steps"][0]
    torchrun = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", "{master_port}"]
    train["argv"] = [PYTHON, *torchrun, *train["argv"][1:]]
    story.start()
    wait_for_a_step(story, 5)
    assert len(story.processes()) >= 3
    story.directory.request_stop("cancelled")
    eventually(lambda: story.directory.exit() is not None, "it did not end", story.story, seconds=180)
    (step,) = story.directory.steps()
    assert step["stopped"] == "cancelled", story.story()
    # The ranks of ms-swift 4.6 may hear the signal at different steps. Then one saves and the others wait for
    # it, until they lose each other (torchrun ends with 1) or the time of grace is over: not the runner's to
    # promise. That nothing is left is.
    if step["exit_code"] == 0:
        assert (Path(step["result_path"]) / "optimizer.pt").exists()
    assert story.processes() == []
