"""A runner that dies, and what the next one finds: each attempt ran once."""

from __future__ import annotations

import shutil

from support.runs import events, followed_log, log_on_disk
from support.waiting import eventually


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
