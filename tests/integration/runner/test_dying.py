"""A runner that dies, and what the next one finds: each attempt ran once."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import time
from pathlib import Path

import pytest

from support.runs import FakeRun, events, followed_log, log_on_disk
from support.waiting import eventually
from swiftletd.runner.processes import all_processes


@pytest.fixture
def launcher(either_launcher):
    return either_launcher


def test_a_run_whose_runner_died_is_lost_and_its_processes_are_ended(run, redis_server):
    story = run(steps=10_000, fake={"orphans": 1})
    story.start()
    story.until_it_trains()
    story.kill_runner()
    assert not story.directory.is_alive()
    assert story.directory.exit() is None
    assert story.start_again()
    end = story.wait()
    assert (end["success"], end["lost"]) == (False, True)
    assert story.processes() == []
    assert len(story.said("Step train started")) == 1
    assert [event["type"] for event in events(redis_server, story.name)] == ["run_started", "run_ended"]


def test_a_runner_that_died_between_the_steps_is_not_gone_on_for(run, redis_server):
    story = run(steps=3, fake={"export_seconds": 600})
    story.start()
    story.until_it_says("Step export started")
    story.kill_runner()
    story.start_again()
    assert story.wait()["lost"]
    assert [step["step"] for step in story.directory.steps()] == ["train"]
    told = events(redis_server, story.name)
    assert [event["type"] for event in told] == ["run_started", "run_step_ended", "run_ended"]
    assert told[1]["runStepEnded"]["success"]


def test_a_lost_run_that_was_to_stop_was_stopped(run):
    story = run(steps=10_000)
    story.start()
    story.until_it_trains()
    story.kill_runner()
    assert not story.directory.request_stop("cancelled"), "nobody is there to signal"
    story.start_again()
    end = story.wait()
    assert (end["stopped"], end["lost"]) == ("cancelled", True)


def test_a_runner_that_is_started_again_says_what_is_left_to_say(new_run, private_redis):
    story = new_run(private_redis)
    private_redis.stop()
    story.start()
    eventually(lambda: story.directory.exit() is not None, "the run did not end", story.story)
    story.kill_runner()
    private_redis.start()
    assert story.start_again()
    assert story.wait()["success"]
    assert [event["type"] for event in events(private_redis, story.name)][-1] == "run_ended"
    assert followed_log(private_redis, story.name) == log_on_disk(story.directory)


def test_what_was_said_is_not_said_again(run, redis_server):
    story = run()
    story.complete()
    with redis_server.client() as client:
        before = client.xlen("swiftlet:{runs}:events"), client.xlen("swiftlet:{runs}:tail")
        story.start_again()
        story.wait()
        assert (client.xlen("swiftlet:{runs}:events"), client.xlen("swiftlet:{runs}:tail")) == before


def test_a_runner_whose_directory_is_removed_does_not_wait_for_redis(new_run, private_redis):
    story = new_run(private_redis)
    private_redis.stop()
    story.start()
    eventually(lambda: story.directory.exit() is not None, "the run did not end", story.story)
    shutil.rmtree(story.directory.path)
    eventually(lambda: story.directory.is_alive() is False, "the runner waits on")


def runner_of(story: FakeRun) -> int | None:
    """The pid of the runner, if it has written it down or not."""
    path = str(story.directory.path).encode()
    for pid in all_processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"swiftletd.runner" in words and path in words:
            return pid
    return None


@pytest.mark.parametrize("seed", range(6))
def test_a_runner_dies_at_any_moment_and_the_attempt_runs_at_most_once(run, redis_server, seed):
    chance = random.Random(seed)
    story = run(steps=4, fake={"step_seconds": 0.01, "orphans": 1})
    for _ in range(4):
        story.start()
        # Not a wait for something: this is when it dies.
        time.sleep(chance.uniform(0, 0.5))
        if (pid := runner_of(story)) is not None:
            os.kill(pid, signal.SIGKILL)
            eventually(lambda: runner_of(story) is None and not story.directory.is_alive(), "it did not die")
    story.start_again()
    end = story.wait()
    steps = story.directory.steps()
    assert len(story.said("Step train started")) <= 1
    assert len(story.said("Step export started")) <= 1
    assert end["success"] == (not end["lost"])
    assert not end["success"] or [step["success"] for step in steps] == [True, True]
    heard = events(redis_server, story.name)
    assert heard == story.directory.events()
    assert heard[-1]["type"] == "run_ended"
    assert story.processes() == []


def test_a_full_disk_stops_the_output_and_loses_nothing_of_it(run, redis_server):
    story = run(steps=300, fake={"version": "3.5"})
    story.start()
    story.until_it_trains(20)
    pid, no_limit = story.runner_pid(), (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    # The log can't grow any more, in the middle of a line; the files of the training still can.
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (story.directory.log_size() + 300, resource.RLIM_INFINITY))
    size = story.directory.log_size() + 300
    eventually(lambda: story.directory.log_size() >= size, "the disk did not fill")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, no_limit)
    assert story.wait()["success"]
    steps = [line.split("'global_step/max_steps': '")[1].split("/")[0] for line in story.said("'loss'")]
    assert steps == [str(step) for step in (1, *range(5, 301, 5))]
    assert followed_log(redis_server, story.name) == log_on_disk(story.directory)


def test_a_run_can_be_stopped_while_the_disk_is_full(run):
    story = run(steps=10_000)
    story.start()
    story.until_it_trains(20)
    pid, size = story.runner_pid(), story.directory.log_size() + 100
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    eventually(lambda: story.directory.log_size() >= size, "the disk did not fill")
    story.directory.request_stop("cancelled")
    assert story.wait()["stopped"] == "cancelled"
    assert story.processes() == []
