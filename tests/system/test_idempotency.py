"""Every call that changes something: twenty at once have one effect, and a repeat undoes nothing done since.

Each case is called through Envoy with an Idempotency-Key: twenty times at once, then somebody else takes the
effect back, then the call is repeated. In the end all services are killed, and all calls are repeated again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from google.api import annotations_pb2

from support.suite import API, Suite
from support.waiting import eventually
from swiftlet.deploy.v1 import deploy_service_pb2
from swiftlet.event.v1.event_pb2 import Event
from swiftlet.gpu.v1 import gpu_service_pb2
from swiftlet.training.v1 import training_service_pb2

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(240)]

FILES = (gpu_service_pb2, training_service_pb2, deploy_service_pb2)
METHODS = {
    method.name: method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
CHANGING = {
    name
    for name, method in METHODS.items()
    if method.GetOptions().Extensions[annotations_pb2.http].WhichOneof("pattern") != "get"
}


class World:
    """A suite whose queue is stopped, and what the cases do with it."""

    def __init__(self, suite: Suite, model: Path) -> None:
        self.suite, self.api = suite, suite.api
        self.body = {
            "model_path": str(model),
            "data_path": str(model / "data.jsonl"),
            "output_dir": str(suite.home / "out"),
        }
        self.params = {"max_steps": 2, "save_steps": 2}
        self.answered: dict[str, tuple[Callable[[], httpx.Response], str]] = {}

    def call(self, name: str, target: str = "", key: str = "", /, **body: Any) -> httpx.Response:
        """The REST form of an RPC."""
        rule = METHODS[name].GetOptions().Extensions[annotations_pb2.http]
        verb = rule.WhichOneof("pattern")
        path = getattr(rule, verb).replace("{job_id}", target).replace("{trainer_type=llm}", "llm")
        headers = {"idempotency-key": key} if key else {}
        content = json.dumps(body) if rule.body else None
        if rule.body:
            headers["content-type"] = "application/json"
        return self.api.request(verb.upper(), path, headers=headers, content=content)

    def do(self, name: str, target: str = "", /, **body: Any) -> Any:
        """The answer of a call that works, made as soon as what went before has come through."""
        replies: list[httpx.Response] = []

        def works() -> bool:
            replies.append(self.call(name, target, **body))
            return replies[-1].is_success

        eventually(works, f"{name} of {target} fails", lambda: replies[-1].text + self.suite.logs())
        return replies[-1].json() if replies[-1].content else None

    def count(self, kind: str, job_id: str = "") -> int:
        """How many events of a kind there were, of one job or of all."""
        stream = f"swiftlet:{{{kind.partition('.')[0]}}}:events"
        with redis.Redis(unix_socket_path=str(self.suite.home / "h" / "run" / "redis.sock")) as client:
            events = [Event.FromString(fields[b"e"]) for _, fields in client.xrange(stream)]
        subjects = ("", job_id, f"training-{job_id}-1", f"training-{job_id}-2") if job_id else ()
        return sum(event.type == kind and (not job_id or event.subject in subjects) for event in events)

    def job(self, job_id: str, **more: Any) -> str:
        """A training job that waits for its start."""
        body = {**self.body, "task_type": "llm", "llm_params": self.params, "auto_start": False, **more}
        return str(self.do("CreateTrainingJob", job_id=job_id, **body)["job_id"])

    def queued(self, job_id: str) -> str:
        """A training job in the queue."""
        self.do("StartTrainingJob", self.job(job_id))
        self.await_queued(job_id)
        return job_id

    def clean(self, subject: str) -> None:
        """Leave nothing that could run, and the queue stopped."""
        self.do("StopProcessor")
        for job_id in (subject, "other"):
            self.call("DeleteTrainingJob", job_id)
        self.call("StopDeployment", subject)

    def await_queued(self, job_id: str) -> None:
        path = f"{API}/training/queue/{job_id}/status"
        eventually(lambda: self.api.get(path).is_success, f"{job_id} isn't queued", self.suite.logs)

    def await_idle(self, job_id: str) -> None:
        """Until a job knows that it isn't queued."""
        self.suite.wait_for(job_id, lambda job: job["status"] == "pending")

    def other(self, _: str) -> str:
        """One more job in the queue."""
        return self.queued("other")

    def deployment(self, job_id: str) -> str:
        """A deployment that waits for its start."""
        self.do("CreateDeployment", model_path=self.body["model_path"], job_id=job_id)
        return job_id

    def served_queued(self, job_id: str) -> str:
        """A deployment in the queue."""
        self.do("StartDeployment", self.deployment(job_id))
        self.await_queued(job_id)
        return job_id

    def trained(self, job_id: str) -> str:
        """A job that has been trained and exported."""
        self.do("StartTrainingJob", self.job(job_id))
        self.run_queue()
        return self.exported(job_id)

    def exported(self, job_id: str) -> str:
        self.suite.wait_for(job_id, lambda job: job["export_completed"], 90)
        return job_id

    def run_queue(self) -> None:
        """Until something was granted."""
        eventually(
            lambda: self.do("ProcessQueue")["result"]["started"] == 1, "nothing starts", self.suite.logs
        )


Act = Callable[[World, str], Any]


def nothing(world: World, job_id: str) -> None:
    """There is nothing to make, or nothing to take back."""


@dataclass(frozen=True)
class Case:
    """`make` makes what the call is about, `undo` is what somebody else does after it, `effect` its event."""

    effect: str
    make: Act = nothing
    undo: Act = nothing
    body: Callable[[World], dict[str, Any]] = lambda _: {}
    about_all: bool = False


def step(name: str, **body: Any) -> Act:
    return lambda world, job_id: world.do(name, job_id, **body)


def steps(*acts: Act) -> Act:
    return lambda world, job_id: [act(world, job_id) for act in acts]


def create_body(world: World) -> dict[str, Any]:
    return {**world.body, "auto_start": False, "job_id": "created", "llm_params": world.params}


def typed_body(world: World) -> dict[str, Any]:
    return {**world.body, "auto_start": False, "job_id": "typed", "params": world.params}


def deploy_body(world: World) -> dict[str, Any]:
    return {"model_path": world.body["model_path"], "job_id": "deployed", "auto_start": True}


# Acts of the world, by the states that they lead to.
IDLE, QUEUED, TRAINED, EXPORTED = World.job, World.queued, World.trained, World.exported
SERVED, SERVED_QUEUED, AWAIT_IDLE, OTHER = (
    World.deployment,
    World.served_queued,
    World.await_idle,
    World.other,
)
SUBJECTS = {"CreateTrainingJob": "created", "CreateTypedTrainingJob": "typed", "CreateDeployment": "deployed"}
# Their first answer has the place in the queue, which some of twenty at once are too early for.
TOLD_LATER = {
    "CreateTrainingJob",
    "CreateTypedTrainingJob",
    "StartTrainingJob",
    "ProcessQueue",
    "CreateDeployment",
    "StartDeployment",
    "AddToDeployQueue",
}

CASES = {
    "CreateTrainingJob": Case(
        "training.job.created", undo=lambda w, _: w.do("DeleteTrainingJob", "created"), body=create_body
    ),
    "CreateTypedTrainingJob": Case(
        "training.job.created", undo=lambda w, _: w.do("DeleteTrainingJob", "typed"), body=typed_body
    ),
    "StartTrainingJob": Case("training.job.submitted", IDLE, step("RemoveQueueItem")),
    "StopTrainingJob": Case("training.job.cancelled", QUEUED, steps(step("DeleteTrainingJob"), IDLE)),
    "ExportTrainingJob": Case("training.job.exporting", TRAINED, EXPORTED),
    "DeleteTrainingJob": Case("training.job.deleted", IDLE, IDLE),
    "DeleteTrainingJobs": Case("training.job.deleted", IDLE, IDLE),
    "RemoveQueueItem": Case("gpu.entry.removed", QUEUED, steps(AWAIT_IDLE, step("StartTrainingJob"))),
    "MoveQueueItem": Case(
        "gpu.entry.moved", QUEUED, step("MoveQueueItem", priority=7), lambda _: {"priority": 3}
    ),
    "HoldQueueItem": Case("gpu.entry.held", QUEUED, step("ReleaseQueueItem")),
    "ReleaseQueueItem": Case(
        "gpu.entry.released", steps(QUEUED, step("HoldQueueItem")), step("HoldQueueItem")
    ),
    "ProcessQueue": Case("gpu.lease.granted", QUEUED, steps(EXPORTED, OTHER), about_all=True),
    "StartProcessor": Case("gpu.processor.started", undo=step("StopProcessor"), about_all=True),
    "StopProcessor": Case(
        "gpu.processor.stopped", step("StartProcessor"), step("StartProcessor"), about_all=True
    ),
    "CreateDeployment": Case("deploy.job.submitted", undo=step("StopDeployment"), body=deploy_body),
    "StartDeployment": Case("deploy.job.submitted", SERVED, step("StopDeployment")),
    "StopDeployment": Case("deploy.job.cancelled", SERVED_QUEUED, step("StartDeployment")),
    "DeleteDeployment": Case("deploy.job.deleted", SERVED, SERVED),
    "AddToDeployQueue": Case("deploy.job.submitted", SERVED, step("RemoveFromDeployQueue")),
    "RemoveFromDeployQueue": Case("deploy.job.unqueued", SERVED_QUEUED, step("StartDeployment")),
}


@pytest.fixture(scope="module")
def world(fast: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    model = tmp_path_factory.mktemp("idempotency")
    (model / "fake_swift.json").write_text(json.dumps({"step_seconds": 0.05}))
    (model / "config.json").write_text("{}")
    (model / "data.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
    world = World(fast, model)
    world.do("StopProcessor")
    yield world
    world.do("StartProcessor")


def test_every_call_that_changes_something_takes_a_request_id_and_is_in_the_table() -> None:
    assert {name for name in CHANGING if "request_id" in METHODS[name].input_type.fields_by_name} == CHANGING
    assert CASES.keys() == CHANGING


@pytest.mark.parametrize("name", CASES)
def test_twenty_at_once_have_one_effect_and_a_repeat_has_none(world: World, name: str) -> None:
    case = CASES[name]
    subject = SUBJECTS.get(name, name.lower())
    counted = "" if case.about_all else subject
    target = subject if "job_id" in METHODS[name].input_type.fields_by_name else ""
    case.make(world, subject)
    body, before = case.body(world), world.count(case.effect, counted)

    def call(_: object = None) -> httpx.Response:
        return world.call(name, target, f"key-{name}", **body)

    try:
        with ThreadPoolExecutor(20) as threads:
            replies = list(threads.map(call, range(20)))
        assert {reply.is_success for reply in replies} == {True}, replies[-1].text
        assert world.count(case.effect, counted) == before + 1
        answers = {reply.text for reply in replies}
        assert len(answers) == 1 or name in TOLD_LATER, answers
        case.undo(world, subject)
        undone = world.count(case.effect, counted)
        repeat = call()
        assert repeat.is_success, repeat.text
        assert repeat.text in answers
        assert repeat.headers["idempotent-replayed"] == "true"
        assert world.count(case.effect, counted) == undone
        world.answered[name] = (call, repeat.text)
    finally:
        world.clean(subject)


def test_a_repeat_is_known_after_every_service_was_killed(world: World) -> None:
    assert world.answered
    kinds = {case.effect for case in CASES.values()}
    before = {kind: world.count(kind) for kind in kinds}
    for service in ("gpu", "training", "deploy"):
        world.suite.kill(service)
    for name, (call, answer) in world.answered.items():
        eventually(lambda call=call: call().is_success, f"{name} fails", world.suite.logs)  # type: ignore[misc]
        assert call().text == answer
    assert {kind: world.count(kind) for kind in kinds} == before


def test_a_key_is_for_one_call_with_one_body(world: World) -> None:
    first, second = world.job("first"), world.job("second")
    assert world.call("StartTrainingJob", first, "shared").is_success
    for name, job in (("StartTrainingJob", second), ("StopTrainingJob", first)):
        refused = world.call(name, job, "shared")
        assert refused.status_code == httpx.codes.BAD_REQUEST
        assert "'shared' was used before, for a StartTrainingJob" in refused.text
        violations = [v for d in refused.json()["details"] for v in d.get("field_violations", ())]
        assert [violation["field"] for violation in violations] == ["request_id"]
    assert world.count("training.job.submitted", second) == world.count("training.job.cancelled", first) == 0
    world.clean(first)
    world.clean(second)


def test_a_call_that_was_refused_can_be_made_again_with_its_key(world: World) -> None:
    assert world.call("HoldQueueItem", "again", "again").status_code == httpx.codes.NOT_FOUND
    world.queued("again")
    assert world.call("HoldQueueItem", "again", "again").is_success
    world.clean("again")
