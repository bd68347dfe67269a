"""However a run is stopped, nothing of it lives when it says that it has ended."""

from __future__ import annotations

import os
import shutil
import signal
import time

import pytest

from support.runs import events
from support.waiting import eventually


def by_request(story, server):
    assert story.directory.request_stop("lease_revoked")
    return "lease_revoked"


def by_signal_alone(story, server):
    os.kill(story.runner_pid(), signal.SIGTERM)
    return "cancelled"


def by_file_alone(story, server):
    (story.directory.path / "stop").write_text("cancelled")
    return "cancelled"


def by_redis(story, server):
    with server.client() as client:
        client.set(f"swiftlet:{{runs}}:stop:{story.name}", "lease_revoked")
    return "lease_revoked"


@pytest.mark.parametrize("stop", [by_request, by_signal_alone, by_file_alone, by_redis])
def test_each_way_to_stop(run, redis_server, stop):
    story = run(steps=10_000)
    story.start()
    story.until_it_trains(5)
    word = stop(story, redis_server)
    end = story.wait()
    (step,) = story.directory.steps()
    assert (end["success"], end["stopped"]) == (False, word)
    assert (step["success"], step["stopped"], step["exit_code"]) == (False, word, -signal.SIGTERM)
    assert story.processes() == []
    assert [event["type"] for event in events(redis_server, story.name)] == [
        "run_started",
        "run_step_ended",
        "run_ended",
    ]


def test_the_time_limit(run):
    story = run(steps=10_000, time_limit=1.5)
    end = story.complete()
    assert end["stopped"] == "time_limit"
    assert 1.4 < story.directory.steps()[0]["seconds"] < 10


def test_who_does_not_hear_is_killed_after_the_grace(run):
    story = run(steps=10_000, fake={"ignore_sigterm": True}, grace_seconds=1)
    story.start()
    story.until_it_trains()
    before = time.monotonic()
    story.directory.request_stop("cancelled")
    story.wait()
    (step,) = story.directory.steps()
    assert step["exit_code"] == -signal.SIGKILL
    assert time.monotonic() - before > 1
    assert story.said("SIGKILL to 1 process")


def test_a_frozen_child_is_ended(run):
    story = run(steps=10_000, grace_seconds=1)
    story.start()
    story.until_it_trains()
    os.kill(story.directory.child()["pid"], signal.SIGSTOP)
    story.directory.request_stop("cancelled")
    assert story.wait()["stopped"] == "cancelled"
    assert story.processes() == []


@pytest.mark.parametrize("ignore", [False, True])
def test_ranks_in_sessions_of_their_own(run, ignore):
    story = run(steps=10_000, fake={"ranks": 3, "ignore_sigterm": ignore, "orphans": 1}, grace_seconds=1)
    story.start()
    story.until_it_trains()
    eventually(lambda: len(story.processes()) >= 7, "not all ranks and their children came up")
    story.directory.request_stop("cancelled")
    story.wait()
    assert story.processes() == []


@pytest.mark.parametrize("ranks", [0, 2])
def test_a_trainer_that_saves_when_it_is_asked_to_stop_has_not_succeeded(run, ranks):
    story = run(fake={"ranks": ranks, "orphans": 1, "step_seconds": 0.05}, jit_checkpoint=True)
    story.spec["steps"][0] = story.train(10_000, "--enable_jit_checkpoint", "true")
    story.start()
    story.until_it_trains(5)
    story.directory.request_stop("cancelled")
    end = story.wait()
    (step,) = story.directory.steps()
    assert (step["exit_code"], step["success"], step["stopped"]) == (0, False, "cancelled")
    assert not end["success"]
    saved = int(step["result_path"].rpartition("-")[2])
    assert saved % 5 or saved > 5
    assert story.processes() == []


def test_a_run_that_is_stopped_before_it_begins_starts_nothing(run, redis_server):
    story = run()
    story.directory.write_spec(story.spec)
    assert not story.directory.request_stop("cancelled"), "there is no runner to signal yet"
    story.start_again()
    end = story.wait()
    assert (end["success"], end["stopped"]) == (False, "cancelled")
    assert story.directory.steps() == []
    assert [event["type"] for event in events(redis_server, story.name)] == ["run_ended"]


def test_a_run_whose_lease_ended_before_it_begins_starts_nothing(run, redis_server):
    story = run(steps=10_000)
    by_redis(story, redis_server)
    story.start()
    assert story.wait()["stopped"] == "lease_revoked"
    assert story.directory.child() is None


def test_a_stop_between_the_steps_leaves_the_training_a_success(run):
    story = run(steps=3, fake={"orphans": 1, "orphans_ignore_sigterm": True}, grace_seconds=2)
    story.start()
    story.until_it_says("left behind")
    story.directory.request_stop("cancelled")
    end = story.wait()
    (trained,) = story.directory.steps()
    assert trained["success"]
    assert (end["success"], end["stopped"]) == (False, "cancelled")


def test_a_stop_that_comes_too_late_stops_nothing(run):
    story = run(steps=3)
    assert story.complete()["success"]
    assert not story.directory.request_stop("cancelled")
    assert story.directory.exit()["success"]


def test_a_run_whose_directory_is_removed_is_ended(run, tmp_path):
    story = run(steps=10_000)
    story.start()
    story.until_it_trains()
    shutil.rmtree(story.directory.path.rename(tmp_path / "gone"))
    eventually(lambda: not story.processes(), "it trains on")
    eventually(lambda: not story.directory.is_alive(), "the runner waits on")


def test_the_first_word_stays(run):
    story = run(steps=10_000)
    story.start()
    story.until_it_trains()
    story.directory.request_stop("lease_revoked")
    story.directory.request_stop("cancelled")
    assert story.wait()["stopped"] == "lease_revoked"


def test_a_word_that_nobody_knows_is_refused(run):
    story = run()
    story.directory.write_spec(story.spec)
    with pytest.raises(ValueError, match="word must be one of cancelled, lease_revoked, time_limit"):
        story.directory.request_stop("because")
