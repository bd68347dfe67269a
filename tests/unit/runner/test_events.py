"""The events of a run follow from its directory, and are what the contract says."""

from __future__ import annotations

import json
from itertools import pairwise

from google.protobuf import json_format

from swiftlet.event.v1.event_pb2 import Event
from swiftletd.runner.events import events_of

RUN = "training-abc-1"
RUNNER = {"pid": 10, "start_time": 1, "started_at": "2026-11-23T09:00:00.000Z"}
CHILD = {"step": "train", "pid": 11, "start_time": 2, "started_at": "2026-11-23T09:00:01.000Z"}
TRAINED = {
    "step": "train",
    "exit_code": 0,
    "success": True,
    "result_path": "/out/checkpoint-50",
    "final_loss": 0.43,
    "seconds": 12.5,
    "stopped": "",
    "pid": 11,
    "started_at": "2026-11-23T09:00:01.000Z",
    "ended_at": "2026-11-23T09:00:13.500Z",
}
EXPORTED = {**TRAINED, "step": "export", "pid": 12, "result_path": "/merged", "final_loss": 0.0}
END = {"success": True, "stopped": "", "ended_at": "2026-11-23T09:00:20.000Z", "lost": False}


def story(**known) -> list[dict]:
    return events_of(RUN, **{"runner": RUNNER, "child": None, "steps": [], "end": None, **known})


def kinds(events: list[dict]) -> list[str]:
    return [event["type"] for event in events]


def test_what_has_happened_only_grows():
    stages = [
        story(runner=None),
        story(),
        story(child=CHILD),
        story(child=CHILD, steps=[TRAINED]),
        story(child={**CHILD, "pid": 12}, steps=[TRAINED]),
        story(child={**CHILD, "pid": 12}, steps=[TRAINED, EXPORTED]),
        story(child={**CHILD, "pid": 12}, steps=[TRAINED, EXPORTED], end=END),
    ]
    for before, after in pairwise(stages):
        assert after[: len(before)] == before
    assert kinds(stages[-1]) == ["run_started", "run_step_ended", "run_step_ended", "run_ended"]
    assert [event["version"] for event in stages[-1]] == [1, 2, 3, 4]


def test_each_is_the_envelope_of_the_contract():
    sent = [json.dumps(event) for event in story(child=CHILD, steps=[TRAINED], end=END)]
    started, ended, over = (json_format.Parse(text, Event()) for text in sent)
    assert (started.subject, started.run_started.child_pid, started.run_started.runner_pid) == (RUN, 11, 10)
    assert ended.run_step_ended.result_path == "/out/checkpoint-50"
    assert ended.run_step_ended.final_loss == 0.43
    assert ended.message == "Step train succeeded with exit code 0 after 12.5 s."
    assert over.run_ended.success
    assert over.version == 3


def test_a_run_whose_command_could_not_be_started_never_started():
    failed = {**TRAINED, "pid": 0, "exit_code": 127, "success": False}
    events = story(steps=[failed], end={**END, "success": False})
    assert kinds(events) == ["run_step_ended", "run_ended"]


def test_how_a_run_ended_in_words():
    def message(**end) -> str:
        return story(end={**END, **end})[-1]["message"]

    assert message() == "The run succeeded; none of its processes lives."
    assert message(success=False) == "The run failed; none of its processes lives."
    assert message(success=False, stopped="cancelled") == "The run was stopped; none of its processes lives."
    assert message(success=False, lost=True) == "The run was lost; none of its processes lives."
