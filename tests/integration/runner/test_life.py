"""A run from its start to its end, when nobody disturbs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import json_format

from support.runs import FAKE_SWIFT, TAIL, events, followed_log, log_on_disk
from support.waiting import eventually
from swiftlet.event.v1.event_pb2 import Event
from swiftletd.runner.ports import FIRST, LAST
from swiftletd.runner.processes import MARK, NAME_MARK, environment, read_process
from swiftletd.runner.rundir import LaunchError


@pytest.fixture
def launcher(either_launcher):
    return either_launcher


def test_a_training_and_its_export(run, redis_server):
    story = run(steps=12)
    assert story.complete()["success"]
    trained, exported = story.directory.steps()
    assert trained["result_path"] == str(story.out / "checkpoint-12")
    assert trained["final_loss"] == pytest.approx(5.1, abs=0.3)
    assert exported["result_path"] == str(story.merged)
    assert (story.merged / "model.safetensors").exists()
    progress = story.directory.progress()
    assert (progress["step"], progress["total_steps"], progress["phase"]) == (12, 12, "ended")
    assert [Path(path).name for path in progress["checkpoints"]] == [
        "checkpoint-5",
        "checkpoint-10",
        "checkpoint-12",
    ]
    assert story.processes() == []


def test_what_redis_hears_of_it(run, redis_server):
    story = run()
    story.complete()
    heard = [json_format.Parse(json.dumps(event), Event()) for event in events(redis_server, story.name)]
    assert [event.WhichOneof("payload") for event in heard] == [
        "run_started",
        "run_step_ended",
        "run_step_ended",
        "run_ended",
    ]
    assert [event.run_step_ended.step for event in heard[1:3]] == ["train", "export"]
    assert heard[0].run_started.runner_pid == story.runner_pid()
    assert heard[3].run_ended.success
    assert followed_log(redis_server, story.name) == log_on_disk(story.directory)
    with redis_server.client() as client:
        assert client.get(f"swiftlet:{{runs}}:alive:{story.name}") is None


def test_progress_travels_in_order(run, redis_server):
    story = run(steps=20)
    story.complete()
    with redis_server.client() as client:
        sent = [fields for _, fields in client.xrange(TAIL) if fields["kind"] == "progress"]
    assert [int(fields["start"]) for fields in sent] == list(range(1, len(sent) + 1))
    assert json.loads(sent[-1]["d"]) == story.directory.progress()
    steps = [json.loads(fields["d"])["step"] for fields in sent]
    assert steps == sorted(steps)
    assert {1, 5, 10, 15, 20} <= set(steps)


def test_while_it_runs_it_says_so(run, redis_server):
    story = run(steps=1000)
    story.start()
    assert story.directory.is_alive(), "the lock must be held when launch returns"
    story.until_it_trains()
    with redis_server.client() as client:
        key = f"swiftlet:{{runs}}:alive:{story.name}"
        eventually(lambda: client.get(key) is not None, "no heartbeat")
        alive = json.loads(client.get(key))
        assert 0 < client.ttl(key) <= 30
    assert (alive["token"], alive["pid"]) == (7, story.runner_pid())
    child = story.directory.child()
    assert child["step"] == "train"
    assert read_process(child["pid"]).start_time == child["start_time"]


def test_the_rows_of_3_5(run):
    story = run(steps=10, fake={"version": "3.5"})
    assert story.complete()["success"]
    progress = story.directory.progress()
    assert progress["gpu_memory"] == 1.25
    assert 0 < progress["seconds_per_step"] < 10


def test_every_line_of_a_flood_is_there_once(run, redis_server):
    story = run(steps=2, fake={"print_lines": 50_000, "line_bytes": 200})
    assert story.complete()["success"]
    printed = [text for text in log_on_disk(story.directory).split("\n") if text.endswith("xxx")]
    assert [text[27:35] for text in printed] == [f"{number:08d}" for number in range(50_000)]
    assert followed_log(redis_server, story.name) == log_on_disk(story.directory)


ODD = """
import os, sys
os.write(1, b"not \\xff utf-8\\n" + b"x" * 40_000 + b"\\n")
os.write(2, b"10%\\r100%\\r")
os.write(1, b"no line end")
"""


def test_what_is_printed_in_odd_ways(run):
    story = run()
    story.spec["steps"] = [{**story.step("serve", []), "argv": [sys.executable, "-c", ODD]}]
    assert story.complete()["success"]
    lines = [(line.stream, line.text) for line in story.directory.tail_log(10)[0] if line.stream in "OE"]
    printed = [text for stream, text in lines if stream == "O"]
    assert printed[0] == "not \ufffd utf-8"
    assert [len(text) for text in printed[1:4]] == [16384, 16384, 40_000 - 2 * 16384]
    assert printed[4:] == ["no line end"]
    assert [text for stream, text in lines if stream == "E"] == ["100%"]


@pytest.mark.parametrize(
    ("fake", "exit_code"),
    [
        ({"crash_at": 7}, 1),
        ({"kill_at": 7}, -signal.SIGKILL),
        ({"exit_code": 3}, 3),
        ({"without_final_row": True}, 0),
    ],
)
def test_a_training_that_fails_is_not_exported(run, redis_server, fake, exit_code):
    story = run(steps=10, fake=fake)
    end = story.complete()
    (step,) = story.directory.steps()
    assert (end["success"], end["stopped"]) == (False, "")
    assert (step["success"], step["exit_code"], step["stopped"]) == (False, exit_code, "")
    assert not story.merged.exists()
    assert [event["type"] for event in events(redis_server, story.name)][-1] == "run_ended"


def test_a_crash_leaves_its_last_words_in_the_log(run):
    story = run(fake={"crash_at": 3})
    story.complete()
    assert story.said("can't allocate memory")


def test_a_diverged_loss_is_said_once_and_not_sent(run):
    story = run(steps=20, fake={"nan_at": 5})
    story.complete()
    assert len(story.said("has diverged")) == 1
    assert story.directory.progress()["loss"] == pytest.approx(5.82)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"argv": ["/nowhere/python"]}, "No such file or directory"),
        ({"argv": [str(Path(FAKE_SWIFT).parent)]}, "Permission denied"),
        ({"cwd": "/nowhere"}, "No such file or directory"),
        ({"argv": ["x", "{checkpoint}"]}, "{checkpoint} needs a training before it"),
        ({"argv": ["x", "{port}"]}, "{port} needs SWIFTLET_PORT"),
    ],
)
def test_a_command_that_cannot_be_started(run, redis_server, change, complaint):
    story = run()
    story.spec["steps"] = [{**story.spec["steps"][0], **change}]
    assert not story.complete()["success"]
    (step,) = story.directory.steps()
    assert (step["exit_code"], step["pid"]) == (127, 0)
    assert complaint in story.said("could not be started")[0]
    assert [event["type"] for event in events(redis_server, story.name)] == ["run_step_ended", "run_ended"]


SHOW = """
import json, os, sys
names = ["MASTER_PORT", "MINE", "SWIFTLET_RUN", "SECRET_OF_THE_SERVICE"]
env = {name: os.environ[name] for name in names if name in os.environ}
leads = os.getpgid(0) == os.getsid(0) == os.getpid()
print(json.dumps({"words": sys.argv[1:], "env": env, "leads": leads, "cwd": os.getcwd()}))
"""


def test_what_a_child_gets_of_the_world(run, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "hush")
    story = run(env={"MASTER_PORT": "{master_port}", "MINE": '{"a": "{port}"}', "SWIFTLET_PORT": "8123"})
    words = ["{port}", "{master_port}", '{"a": 1}', "two words; $HOME"]
    story.spec["steps"] = [{**story.step("serve", []), "argv": [sys.executable, "-c", SHOW, *words]}]
    assert story.complete()["success"]
    seen = json.loads(story.said("words")[0])
    port, master, *rest = seen["words"]
    assert (port, rest) == ("8123", ['{"a": 1}', "two words; $HOME"])
    assert FIRST <= int(master) <= LAST
    assert seen["env"] == {"MASTER_PORT": master, "MINE": '{"a": "{port}"}', NAME_MARK: story.name}
    assert seen["leads"]
    assert seen["cwd"] == str(story.directory.path)


def test_signals_that_the_runner_ignores_are_not_ignored_in_the_child(run):
    story = run()
    show = (
        "import signal; print([signal.getsignal(n) for n in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)])"
    )
    story.spec["steps"] = [{**story.step("serve", []), "argv": [sys.executable, "-c", show]}]
    story.complete()
    (said,) = story.said("SIG_DFL")
    assert said.count("SIG_DFL") == 2
    assert "default_int_handler" in said


def test_hanging_up_and_interrupting_do_not_end_a_run(run):
    story = run(steps=30)
    story.start()
    story.until_it_trains()
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGHUP):
        os.kill(story.runner_pid(), number)
    assert story.wait()["success"]


@pytest.mark.parametrize("fake", [{}, {"orphans_ignore_sigterm": True}, {"orphans_hide": True}])
def test_what_a_step_leaves_behind_is_ended_before_the_next(run, fake):
    story = run(steps=3, fake={"orphans": 2, **fake}, grace_seconds=1)
    assert story.complete()["success"]
    texts = [line.text for line in story.directory.tail_log(100)[0]]
    left, exported = (
        next(index for index, text in enumerate(texts) if text.startswith(start))
        for start in ("Ending 2 processes", "Step export started")
    )
    assert left < exported
    assert story.processes() == []


def test_a_second_runner_leaves_at_once(run):
    story = run(steps=1000)
    assert story.start()
    pid = story.runner_pid() if story.directory.runner() else None
    assert not story.start_again()
    assert pid in {None, story.runner_pid()}


def test_a_spec_that_is_wrong_is_refused_at_the_start(run):
    story = run(token="seven")
    with pytest.raises(LaunchError, match="token must be a whole number"):
        story.start()
    assert not story.directory.is_alive()


def test_a_directory_without_a_spec_is_refused(launcher, tmp_path):
    with pytest.raises(LaunchError, match="could not be started"):
        launcher.launch(tmp_path / "nowhere")
    with pytest.raises(LaunchError, match=r"spec.json is missing"):
        launcher.launch(tmp_path)


def test_the_runner_is_nobodys_child_and_carries_no_mark(run, monkeypatch):
    monkeypatch.setenv(MARK, "the-run-in-which-this-test-runs")
    story = run(steps=1000)
    story.start()
    story.until_it_trains()
    runner = read_process(story.runner_pid())
    assert runner.parent != os.getpid()
    assert os.getsid(runner.pid) != os.getsid(0)
    assert MARK not in environment(runner.pid)


def test_a_runner_is_small():
    """What it imports is what it weighs; the budget is 40 MB."""
    code = "import sys, swiftletd.runner.__main__, swiftletd.runner.forkserver; print(*sys.modules)"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert not {"grpc", "google", "pydantic", "redis", "asyncio", "psutil", "msgspec"} & set(modules)
    ours = {name for name in modules if name.startswith("swiftletd.")}
    assert all(name.startswith("swiftletd.runner") for name in ours)


def test_the_memory_of_a_running_runner(run):
    story = run(steps=1000)
    story.start()
    story.until_it_trains(10)
    status = Path(f"/proc/{story.runner_pid()}/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0])
    assert peak < 40 * 1024, f"{peak} KiB"
