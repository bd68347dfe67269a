"""Every row of the REST contract through Envoy: status code, content type, JSON names and types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from support.golden import differences, golden_answer
from support.suite import API, Suite
from support.waiting import eventually
from system.rows import ADDED, ROWS, Row, faults

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(90)]
END = ("completed", "failed", "cancelled")


class World:
    """A suite whose one device is held, and what the paths of rows name."""

    def __init__(self, suite: Suite, directory: Path) -> None:
        self.suite, self.seen = suite, dict[str, str]()
        self.deployments: list[str] = []
        (directory / "config.json").write_text("{}")
        (directory / "fake_swift.json").write_text(json.dumps({"step_seconds": 0.02}))
        self.job = {
            "model_path": str(directory),
            "data_path": "owner/data#20",
            "output_dir": str(suite.home / "contract"),
        }
        self.deployment = {"model_path": str(directory), "deploy_target": "LOCAL", "deploy_type": "Llm"}
        self.done = self._create({"max_steps": 4, "save_steps": 2})
        suite.wait_for(self.done, lambda job: job["export_completed"] or job["status"] == "failed")
        self.running = self._create({"max_steps": 1_000_000})
        suite.wait_for(self.running, lambda job: job["status"] == "running")

    def _create(self, params: dict[str, Any], **more: Any) -> str:
        return self.suite.create(**self.job, task_type="LLM", llm_params=params, **more)

    def call(self, row: Row, path: str) -> httpx.Response:
        body = self.deployment if row.body == "deployment" else {**self.job, **row.body} if row.body else None
        return self.suite.api.request(row.verb, API + path, json=body)

    def fill(self, path: str) -> str:
        """The path with the names of things that are as the row needs them."""
        for name in ("done", "running", "queued", "idle", "served", "waiting"):
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", getattr(self, f"_{name}")())
        return path

    def _done(self) -> str:
        return self.done

    def _queued(self) -> str:
        job_id = self._create({})
        self.suite.wait_for(job_id, lambda job: job["status"] == "queued")
        return job_id

    def _idle(self) -> str:
        return self._create({}, auto_start=False)

    def _served(self) -> str:
        reply = self.suite.api.post(f"{API}/deploy/jobs", json=self.deployment)
        assert reply.status_code == httpx.codes.CREATED, reply.text
        self.deployments.append(str(reply.json()["job_id"]))
        return self.deployments[-1]

    def _waiting(self) -> str:
        key = self._served()
        assert self.suite.api.post(f"{API}/deploy/jobs/{key}/start").status_code == httpx.codes.OK
        path = f"/deploy/jobs/{key}/status"
        eventually(lambda: self.suite.get(path)["status"] == "queued", "the deployment isn't queued")
        return key

    def close(self) -> None:
        api = self.suite.api
        for key in self.deployments:
            api.post(f"{API}/deploy/jobs/{key}/stop")
        api.post(f"{API}/training/jobs/{self.running}/stop")


@pytest.fixture(scope="module")
def world(fast: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    world = World(fast, tmp_path_factory.mktemp("model"))
    yield world
    world.close()


# ---------------------------------------------------------------- what holds for all of them


def _refused(reply: httpx.Response, code: int) -> Any:
    assert reply.status_code == code, reply.text
    assert reply.headers["content-type"] == "application/json"
    error = reply.json()
    assert not faults(error, {"code": int, "message": str, "details": list})
    return error


def test_refusals_are_json_that_names_what_is_wrong(world: World) -> None:
    api, jobs = world.suite.api, f"{API}/training/jobs"
    _refused(api.post(jobs, data={"model_path": "x"}), 415)
    _refused(api.post(jobs, json={**world.job, "project": "x" * 8_000_000}), 413)
    assert "nonsense" in _refused(api.get(f"{jobs}?nonsense=1"), 400)["message"]
    for path in (f"{API}/nowhere", "/nowhere", f"{jobs}/no-such-job", f"{API}/deploy/jobs/none/status"):
        _refused(api.get(path), 404)
    for path in (f"{API}/training/queue/none", f"{API}/deploy/queue/none"):
        _refused(api.delete(path), 404)
    assert "completed" in _refused(api.post(f"{jobs}/{world.done}/start"), 400)["message"]


def test_words_are_taken_in_any_case_and_given_in_lower_case(world: World) -> None:
    for word in ("COMPLETED", "Completed", "completed"):
        found = world.suite.get("/training/jobs", status=word)["jobs"]
        assert {job["status"] for job in found} <= {"completed"}


def test_a_repeated_create_makes_one_job_at_once_and_after_a_kill(world: World) -> None:
    body = {**world.job, "task_type": "llm", "auto_start": False}

    def create(_: object = None) -> httpx.Response:
        headers = {"idempotency-key": "contract"}
        return world.suite.api.post(f"{API}/training/jobs", json=body, headers=headers)

    with ThreadPoolExecutor(10) as threads:
        replies = list(threads.map(create, range(20)))
    assert {reply.status_code for reply in replies} == {httpx.codes.CREATED}
    world.suite.kill("training")
    eventually(lambda: create().status_code == httpx.codes.CREATED, "training isn't back", world.suite.logs)
    assert len({reply.json()["job_id"] for reply in [*replies, create()]}) == 1


def test_a_log_is_read_by_byte_by_line_and_by_text(world: World) -> None:
    path = f"/training/jobs/{world.done}/logs"

    def read(**query: object) -> list[str]:
        return [line["message"] for line in world.suite.get(path, **query)["logs"]]

    every = read(offset=0, limit=1000)
    assert len(every) == world.suite.get(path)["total"] > 3
    assert read(line=1, limit=2) == every[:2]
    assert read(line=3, limit=1) == every[2:3]
    assert read(line=len(every) + 1) == []
    assert read(limit=2) == every[-2:]
    behind_one = world.suite.get(path, line=1, limit=1)["next_offset"]
    assert read(offset=int(behind_one), limit=1) == every[1:2]
    assert read(search=every[2].upper(), limit=1000) == [x for x in every if every[2].lower() in x.lower()]


@pytest.mark.parametrize("path", ["/training/jobs/{done}/logs", "/deploy/jobs/{served}/logs"])
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"line": 0}, "line"),
        ({"line": 1, "offset": 0}, "line"),
        ({"offset": -1}, "offset"),
        ({"limit": 1001}, "limit"),
    ],
)
def test_a_place_in_a_log_that_can_not_be_is_named(
    world: World, path: str, query: dict[str, int], field: str
) -> None:
    reply = world.suite.api.get(API + world.fill(path), params=query)
    assert reply.status_code == httpx.codes.BAD_REQUEST
    assert reply.json()["details"][0]["metadata"]["field"] == field


def test_what_only_a_gpu_can_train_is_refused_before_the_queue(world: World) -> None:
    if world.suite.get("/training/gpus")["gpus"][0]["uuid"] != "cpu:0":
        pytest.skip("there is a GPU")
    body = {**world.job, "params": {"deepspeed": "zero2"}}
    error = _refused(world.suite.api.post(f"{API}/training/llm/jobs", json=body), 400)
    assert error["message"].startswith("params.deepspeed: needs a GPU")
    assert error["details"][0]["reason"] == "IMPOSSIBLE_REQUEST"


def test_reflection_on_the_one_port_tells_of_all_services(world: World) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{world.suite.port}") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        ours = sorted(name for name in database.get_services() if name.startswith("swiftlet."))
        assert [name.split(".")[1] for name in ours] == ["deploy", "gpu", "training"]
        pool = DescriptorPool(database)
        assert all(pool.FindServiceByName(name).methods for name in ours)


# ---------------------------------------------------------------- row by row; the last one leaves nothing


@pytest.mark.parametrize("row", [*ADDED, *ROWS], ids=lambda row: row.call)
def test_row(world: World, row: Row) -> None:
    if row.call.startswith("DELETE") and row.path.endswith("/jobs"):
        assert world.call(row, row.path).status_code == httpx.codes.BAD_REQUEST  # while a job runs
        world.suite.api.post(f"{API}/training/jobs/{world.running}/stop")
    path = world.fill(row.path)
    if row.stream:
        reply, value = _first_message(world.suite, path)
        assert reply.headers["content-type"] == "text/event-stream"
    else:
        reply = world.call(row, path)
        value = reply.json() if reply.content else None
        assert row.shape is None or reply.headers["content-type"] == "application/json"
    assert reply.status_code == row.code, value
    assert (value is None) == (row.shape is None)
    assert row.shape is None or not faults(value, row.shape)
    assert row.shape is None or not differences(value, golden_answer(row.verb, API + path))
    world.seen[row.call] = f"{reply.status_code}"


def _first_message(suite: Suite, path: str) -> tuple[httpx.Response, Any]:
    with suite.api.stream("GET", API + path, timeout=30) as reply:
        for line in reply.iter_lines():
            if line.startswith("data:"):
                return reply, json.loads(line.removeprefix("data:"))
    raise AssertionError(f"{path} said nothing")


def test_no_row_is_without_its_test(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print()
        for row in (*ROWS, *ADDED):
            print(f"{world.seen.get(row.call, 'MISSING'):8} {row.call}")
    assert set(world.seen) == {row.call for row in (*ROWS, *ADDED)}
