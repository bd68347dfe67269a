"""The limit of all results as a user meets it: told by health, refused before the queue, cured by hand."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.suite import API, Suite, fake_trainer
from support.waiting import eventually

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(120)]


@pytest.fixture
def small(make_suite: Callable[..., Suite], tmp_path: Path) -> Suite:
    """A suite whose jobs may write 1 KiB together."""
    python = str(fake_trainer(tmp_path / "trainer"))
    limits = {"DISK_LIMIT_GB": str(1 / 2**20), "DISK_CHECK_SECONDS": "0.2", "DISK_RESERVE_GB": "0"}
    return make_suite(TRAINER_PYTHON=python, PREFLIGHT="false", **limits)


def test_jobs_are_refused_while_the_results_of_others_take_all_there_is(
    small: Suite, quick_job: dict[str, Any]
) -> None:
    body = {**quick_job, "output_dir": str(small.home / "out")}
    first = small.create(**body)
    small.wait_for(first, lambda job: job["output_bytes"] > 0)
    assert small.get("/training/health")["outputs"]["high"] is True
    assert small.get("/training/health")["disks"][0]["total_bytes"] > 0
    assert 'swiftlet_disk_high{path="DISK_LIMIT_GB"} 1.0' in small.api.get("/metrics/training").text

    refused = small.api.post(f"{API}/training/jobs", json={**body, "job_id": "second"})

    assert refused.status_code == httpx.codes.BAD_REQUEST
    info = refused.json()["details"][0]
    assert (info["reason"], info["metadata"]["field"]) == ("NO_DISK_SPACE", "output_dir")
    assert f"{body['output_dir']}/{first}" in refused.json()["message"]
    assert small.api.get(f"{API}/training/jobs/second").status_code == httpx.codes.NOT_FOUND

    shutil.rmtree(f"{body['output_dir']}/{first}")
    eventually(lambda: not small.get("/training/health")["outputs"]["high"], "it stays high")
    small.create(**body)
