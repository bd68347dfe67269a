"""Many jobs, one device: order, order by priority, no trace of what was refused."""

from __future__ import annotations

from typing import Any

import httpx
import psutil
import pytest

from support.suite import API, Suite
from support.waiting import eventually

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(120)]
END = ("completed", "failed", "cancelled")


def test_five_jobs_on_one_device_run_by_priority_and_then_by_age(
    fast: Suite, quick_job: dict[str, Any]
) -> None:
    first = fast.create(**quick_job, job_id="first")
    others = [
        fast.create(**{**quick_job, "job_id": name, "priority": priority})
        for name, priority in (("low-1", 0), ("low-2", 0), ("high", 9), ("middle", 5))
    ]
    queue = fast.get("/training/queue")["queue_items"]
    assert [item["job_id"] for item in queue] == ["high", "middle", "low-1", "low-2"]
    assert [item["queue_position"] for item in queue] == [1, 2, 3, 4]

    jobs = [fast.wait_for(name, lambda job: job["status"] in END) for name in (first, *others)]

    assert [job["status"] for job in jobs] == ["completed"] * 5
    ran = [job["id"] for job in sorted(jobs, key=lambda job: job["started_at"])]
    assert ran == ["first", "high", "middle", "low-1", "low-2"]


def test_what_is_wrong_is_named_and_leaves_no_job(fast: Suite, quick_job: dict[str, Any]) -> None:
    before = fast.get("/training/jobs")["total"]
    cases: list[tuple[Any, str]] = [
        ({**quick_job, "priority": 11}, "priority"),
        ({**quick_job, "priority": "high"}, "priority"),
        ({**quick_job, "nonsense": 1}, "nonsense"),
        ({key: value for key, value in quick_job.items() if key != "data_path"}, "data_path"),
        ({**quick_job, "llm_params": {"lora_rnak": 8}}, "llm_params.lora_rnak"),
        ({**quick_job, "llm_params": {"vit_lr": 1e-5}}, "llm_params.vit_lr"),
    ]
    for wrong, field in cases:
        reply = fast.api.post(f"{API}/training/jobs", json=wrong)
        assert reply.status_code == httpx.codes.BAD_REQUEST, reply.text
        fields = [
            v["field"] for detail in reply.json()["details"] for v in detail.get("field_violations", ())
        ]
        assert fields == [field]
    malformed = fast.api.post(
        f"{API}/training/jobs", content=b'{"priority": 1,', headers={"content-type": "application/json"}
    )
    assert malformed.status_code == httpx.codes.BAD_REQUEST
    assert malformed.json()["details"][0]["reason"] == "MALFORMED_JSON"
    assert fast.get("/training/jobs")["total"] == before


def test_a_running_job_is_stopped_and_deleted_and_nothing_of_it_is_left(
    fast: Suite, quick_job: dict[str, Any]
) -> None:
    long = {**quick_job, "llm_params": {"max_steps": 10_000}}
    job_id = fast.create(**long)
    job = fast.wait_for(job_id, lambda job: job["progress"] > 0)

    stopped = fast.api.post(f"{API}/training/jobs/{job_id}/stop")

    assert stopped.json()["status"] == "cancelled"
    assert fast.api.delete(f"{API}/training/jobs/{job_id}").status_code == httpx.codes.NO_CONTENT
    assert fast.api.get(f"{API}/training/jobs/{job_id}").status_code == httpx.codes.NOT_FOUND
    _gone(job["process_id"])
    following = fast.create(**quick_job)
    assert fast.wait_for(following, lambda job: job["status"] in END)["status"] == "completed"


@pytest.mark.parametrize("ended", ["before it began", "while it ran", "by itself"])
def test_an_id_is_free_again_once_its_job_is_deleted(
    fast: Suite, quick_job: dict[str, Any], ended: str
) -> None:
    key = f"again-{ended.replace(' ', '-')}"
    path = f"{API}/training/jobs/{key}"
    holder = fast.create(**{**quick_job, "llm_params": {"max_steps": 10_000}}) if "before" in ended else ""
    steps = 10 if "itself" in ended else 10_000
    fast.create(**{**quick_job, "llm_params": {"max_steps": steps}}, job_id=key)
    wanted = {"before it began": "queued", "while it ran": "running", "by itself": "completed"}[ended]
    fast.wait_for(key, lambda job: job["status"] == wanted)
    assert fast.api.delete(path).status_code == httpx.codes.NO_CONTENT
    if holder:
        fast.api.post(f"{API}/training/jobs/{holder}/stop")

    body = {**quick_job, "job_id": key, "output_dir": str(fast.home / f"{key}-2")}
    eventually(
        lambda: fast.api.post(f"{API}/training/jobs", json=body).status_code == httpx.codes.CREATED,
        "the id is not free",
    )

    assert fast.wait_for(key, lambda job: job["status"] in END)["status"] == "completed"


def _gone(pid: int) -> None:
    try:
        psutil.Process(pid).wait(30)
    except psutil.NoSuchProcess:
        pass


def test_an_idempotency_key_makes_one_job(fast: Suite, quick_job: dict[str, Any]) -> None:
    headers = {"idempotency-key": "once"}
    replies = [fast.api.post(f"{API}/training/jobs", json=quick_job, headers=headers) for _ in range(3)]
    assert {reply.status_code for reply in replies} == {httpx.codes.CREATED}
    assert len({reply.json()["job_id"] for reply in replies}) == 1
