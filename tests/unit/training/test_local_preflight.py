"""The checks as the service calls them: a job in, the job with absolute paths out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from swiftletd.kernel.errors import ServiceError
from swiftletd.training.adapters.preflight import LocalPreflight
from swiftletd.training.adapters.swift_schema import SwiftSchema
from swiftletd.training.domain.job import Job, changed
from swiftletd.training.domain.params import (
    InvalidParams,
    Method,
    TrainerType,
    parse_params,
    restore_params,
    to_dict,
)
from swiftletd.training.settings import TrainingSettings
from unit.training.test_preflight import base as base  # noqa: PLC0414 (a fixture)
from unit.training.test_swift_schema import python as python  # noqa: PLC0414 (a fixture)


class Machines:
    """Machines as a test needs them, and how often they were asked about."""

    def __init__(self, *, cpu: bool) -> None:
        self.cpu, self.asked = cpu, 0

    async def only_cpu(self) -> bool:
        self.asked += 1
        return self.cpu


def job(**changes: object) -> Job:
    params = parse_params(TrainerType.LLM, Method.SFT, {"val_dataset": "train.jsonl", "report_to": "none"})
    new = Job(
        id="job-1",
        task_type="llm",
        trainer_type=TrainerType.LLM,
        method=Method.SFT,
        data_path="train.jsonl#1",
        model_path="model",
        output_dir="out",
        params=to_dict(params),
        created_at=0.0,
    )
    return changed(new, **changes)


async def check(asked: LocalPreflight, job: Job, block: str) -> Job:
    return await asked.check(job, restore_params(job.trainer_type, job.params), block)


def preflight(
    base: Path, python: Path, *, reads: bool = True, machines: Machines | None = None
) -> LocalPreflight:
    settings = TrainingSettings(
        swiftlet_home=base / "home",
        work_dir=base,
        trainer_python=python,
        output_roots=str(base),
        preflight=reads,
    )
    return LocalPreflight(settings, SwiftSchema(python, look_again=600.0), machines or Machines(cpu=False))


async def test_paths_become_absolute(base: Path, python: Path):
    checked = await check(preflight(base, python), job(), "llm_params")

    assert checked.model_path == str(base / "model")
    assert checked.data_path == f"{base}/train.jsonl#1"
    assert checked.output_dir == str(base / "out")
    assert checked.params["val_dataset"] == [str(base / "train.jsonl")]
    assert checked.disk_needed > 0
    assert json.loads(json.dumps(checked.params)) == checked.params


async def test_faults_name_the_block_of_the_parameters(base: Path, python: Path):
    with pytest.raises(InvalidParams) as caught:
        await check(preflight(base, python), job(params={"deepspeed": "zero3"}), "llm_params")

    assert [fault.field for fault in caught.value.violations] == ["llm_params.deepspeed"]


@pytest.mark.parametrize("reads", [True, False])
async def test_what_needs_a_gpu_is_refused_where_there_is_none(base: Path, python: Path, reads: bool):
    machines = Machines(cpu=True)
    asked = preflight(base, python, reads=reads, machines=machines)
    with pytest.raises(InvalidParams) as caught:
        await check(asked, job(params={"deepspeed": "zero3", "attn_impl": "flash_attn"}), "params")

    assert [fault.field for fault in caught.value.violations] == ["params.deepspeed", "params.attn_impl"]
    assert caught.value.reason == "IMPOSSIBLE_REQUEST"
    await check(asked, job(), "params")
    assert machines.asked == 1  # only where it matters


async def test_without_reading_only_the_place_of_the_results_is_judged(base: Path, python: Path):
    unread = preflight(base, python, reads=False)

    checked = await check(unread, job(data_path="./gone.jsonl"), "llm_params")
    assert checked.data_path == f"{base}/gone.jsonl"
    with pytest.raises(InvalidParams):
        await check(unread, job(output_dir="/etc"), "llm_params")


async def test_no_trainer_environment_is_told_as_such(base: Path, tmp_path: Path):
    with pytest.raises(ServiceError) as caught:
        await check(preflight(base, tmp_path / "nowhere" / "bin" / "python"), job(), "llm_params")

    assert (caught.value.code, caught.value.reason) == ("FAILED_PRECONDITION", "TRAINER_UNAVAILABLE")


async def test_a_repeated_check_needs_no_thread_and_no_reading(
    base: Path, python: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("swiftletd.training.adapters.preflight.kept.TICK_NS", -(10**12))  # all has settled
    monkeypatch.setattr("swiftletd.training.adapters.preflight.check.is_local", lambda path: True)
    monkeypatch.setattr("swiftletd.training.adapters.preflight.moment.MOMENT_SECONDS", 0.0)
    plain = job(params={})
    asked = preflight(base, python)
    first = await check(asked, plain, "llm_params")

    with monkeypatch.context() as patched:
        patched.setattr("asyncio.to_thread", None)
        assert await check(asked, plain, "llm_params") == first

    (base / "train.jsonl").write_text("broken\n")
    with pytest.raises(InvalidParams):
        await check(asked, plain, "llm_params")


async def test_paths_on_a_network_are_looked_at_in_a_thread_each_time(
    base: Path, python: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("swiftletd.training.adapters.preflight.kept.TICK_NS", -(10**12))
    monkeypatch.setattr("swiftletd.training.adapters.preflight.check.is_local", lambda path: False)
    asked = preflight(base, python)
    await check(asked, job(params={}), "llm_params")

    monkeypatch.setattr("asyncio.to_thread", None)
    with pytest.raises(TypeError):
        await check(asked, job(params={}), "llm_params")
