"""A training that is killed goes on from its last whole checkpoint, or says that it starts over."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from support.suite import Suite
from support.waiting import eventually
from system.test_walk import body

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(300)]


def kill_training(suite: Suite, job_id: str) -> None:
    """As the kernel's OOM killer would."""
    os.kill(suite.job(job_id)["process_id"], signal.SIGKILL)


def kinds(suite: Suite, job_id: str) -> list[str]:
    return [event["type"] for event in suite.get(f"/training/jobs/{job_id}/events", limit=100)["events"]]


def rows(attempt: Path) -> list[dict[str, Any]]:
    """What the trainer wrote down, step by step."""
    texts = [file.read_text() for file in attempt.rglob("logging.jsonl")]
    found = [json.loads(line) for text in texts for line in text.splitlines()]
    return [row for row in found if "loss" in row]


def step_of(row: dict[str, Any]) -> int:
    return int(row["global_step/max_steps"].partition("/")[0])


def test_the_second_attempt_goes_on_where_the_first_was_saved(fast: Suite, quick_job: dict[str, Any]) -> None:
    params = {**quick_job["llm_params"], "max_steps": 60}
    job_id = fast.create(**{**quick_job, "llm_params": params}, job_id="resumed", max_retries=1)
    saved = "resumed/checkpoint-5/trainer_state.json"
    eventually(lambda: any((fast.home / "out").rglob(saved)), "nothing is saved", fast.logs)
    kill_training(fast, job_id)
    job = fast.wait_for(job_id, lambda job: job["status"] in ("completed", "failed"))

    assert job["status"] == "completed", job
    first, second = job["attempts"]
    assert (first["state"], second["state"]) == ("failed", "completed")
    assert "SIGKILL" in first["reason"]
    assert "/resumed/checkpoint-" in second["resumed_from"]
    assert "training.job.resumed" in kinds(fast, job_id)
    events = fast.get(f"/training/jobs/{job_id}/events")["events"]
    assert any(event["message"].endswith("Attempt 2 follows in 0.5 s.") for event in events)
    assert any("not to start before its time" in event["message"] for event in events)
    logs = [fast.get(f"/training/jobs/{job_id}/logs", attempt=number)["logs"] for number in (1, 2)]
    assert all(logs)
    done = fast.wait_for(job_id, lambda job: job["attempts"][1].get("step"))
    assert (done["attempts"][0]["step"] >= 5, done["attempts"][1]["step"]) == (True, 60)


def test_an_attempt_that_can_go_on_from_nothing_says_that_it_starts_over(
    fast: Suite, quick_job: dict[str, Any]
) -> None:
    params = {**quick_job["llm_params"], "max_steps": 60, "save_steps": 1000}
    job_id = fast.create(**{**quick_job, "llm_params": params}, job_id="over", max_retries=1)
    fast.wait_for(job_id, lambda job: job["process_id"] and job["progress"] > 0)
    kill_training(fast, job_id)
    job = fast.wait_for(job_id, lambda job: job["status"] in ("completed", "failed"))

    assert (job["status"], job["attempts"][1].get("resumed_from", "")) == ("completed", "")
    assert "training.job.started_over" in kinds(fast, job_id)


def test_a_training_that_ran_out_of_memory_is_tried_again_with_less(
    fast: Suite, quick_job: dict[str, Any]
) -> None:
    (Path(quick_job["model_path"]) / "fake_swift.json").write_text('{"memory_rows": 2}')
    params = {**quick_job["llm_params"], "batch_size": 8, "gradient_accumulation_steps": 1}
    job_id = fast.create(**{**quick_job, "llm_params": params}, job_id="smaller", max_retries=2)
    job = fast.wait_for(job_id, lambda job: job["status"] in ("completed", "failed"))

    assert (job["status"], len(job["attempts"])) == ("completed", 3), job
    told = job["train_params"]
    assert (told["batch_size"], told["gradient_accumulation_steps"]) == (2, 4)
    events = fast.get(f"/training/jobs/{job_id}/events")["events"]
    changes = [event["message"] for event in events if event["type"] == "training.job.retried"]
    assert ["batch_size 4 instead of 8" in changes[0], "batch_size 2 instead of 4" in changes[1]] == [
        True,
        True,
    ]


@pytest.mark.timeout(600)
def test_the_real_trainer_goes_on_with_its_steps_and_its_schedule(real: Suite, tiny: Path) -> None:
    params = {**body(real, tiny)["llm_params"], "max_steps": 20, "save_steps": 10, "logging_steps": 1}
    wanted = {**body(real, tiny), "llm_params": {**params, "save_only_model": True}}
    cut = real.create(**wanted, job_id="cut", max_retries=1)
    out, saved = real.home / "out", "checkpoint-10/trainer_state.json"
    eventually(lambda: any((out / "cut").rglob(saved)), "nothing is saved", real.logs, 240)
    kill_training(real, cut)
    job = real.wait_for(cut, lambda job: job["status"] in ("completed", "failed"), 240)

    assert job["status"] == "completed", job
    begun = int(job["attempts"][1]["resumed_from"].rpartition("-")[2])
    first, again = ({step_of(row): row for row in rows(out / name)} for name in ("cut", "cut.2"))
    assert list(again) == list(range(begun + 1, 21)), "it goes on with its steps"
    rates = [float(row["learning_rate"]) for row in (first[begun], *again.values())]
    assert rates == sorted(rates, reverse=True), "its schedule began anew"
