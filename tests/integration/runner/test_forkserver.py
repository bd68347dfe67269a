"""Runners that are forked: whatever becomes of the fork server, each attempt runs once."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from support.runs import events
from swiftletd.runner import launching
from swiftletd.runner.launching import ForkServer, ForkServerGone, Launcher, Spawner


@pytest.fixture
def quick(run):
    """Makes runs of a process that ends at once."""

    def make(**wanted):
        story = run(**wanted)
        story.spec["steps"] = [{**story.step("serve", []), "argv": ["/bin/echo", "hello"]}]
        return story

    return make


def servers(pid: int = 0) -> list[psutil.Process]:
    """The fork servers of a process, of this one by default; they are found by what `ps` shows of them."""
    children = psutil.Process(pid or None).children()
    return [child for child in children if "swiftletd.runner.forkserver" in _words(child)]


def only_server() -> psutil.Process:
    (server,) = servers()
    return server


def ran_once(story, server) -> bool:
    (step,) = story.directory.steps()
    started = [event for event in events(server, story.name) if event["type"] == "run_started"]
    return step["success"] and len(story.said("Step serve started")) == len(started) == 1


def test_a_run_outlives_the_server_and_the_next_one_has_a_new_server(quick, run, redis_server):
    long = run(steps=10_000)
    long.start()
    long.until_it_trains()
    first = only_server()
    first.kill()
    next_one = quick()
    assert next_one.complete()["success"]
    assert ran_once(next_one, redis_server)
    assert quick().complete()["success"]
    assert only_server().pid != first.pid
    assert long.directory.is_alive()
    assert long.directory.request_stop("cancelled")
    assert long.wait()["stopped"] == "cancelled"


def test_a_server_that_dies_between_fork_and_answer_has_started_the_run(quick, redis_server, monkeypatch):
    answer = ForkServer.start

    def die(self, directory, log):
        answer(self, directory, log)
        self.process.kill()
        raise ForkServerGone

    monkeypatch.setattr(ForkServer, "start", die)
    story = quick()
    story.start()
    assert story.wait()["success"]
    assert ran_once(story, redis_server)


def test_servers_that_are_killed_at_any_moment_start_each_run_once(quick, redis_server):
    chance = random.Random(7)
    over = threading.Event()

    def kill_them() -> None:
        while not over.wait(chance.uniform(0.0, 0.4)):
            for server in servers():
                server.kill()

    killer = threading.Thread(target=kill_them)
    killer.start()
    stories = [quick() for _ in range(30)]
    try:
        for story in stories:
            story.start()
    finally:
        over.set()
        killer.join()
    for story in stories:
        assert story.wait()["success"]
        assert ran_once(story, redis_server)


def test_a_server_that_hangs_is_given_up(quick, redis_server, monkeypatch):
    assert quick().complete()["success"]
    only_server().suspend()
    monkeypatch.setattr(launching, "ANSWER_SECONDS", 0.2)
    story = quick()
    assert story.start()
    assert story.wait()["success"]
    assert ran_once(story, redis_server)


def test_two_launchers_start_a_directory_once(quick, forking, redis_server):
    stories = [quick() for _ in range(10)]
    other = Launcher(sys.executable)
    with closing(other), ThreadPoolExecutor(2) as threads:
        for story in stories:
            story.directory.write_spec(story.spec)
            path = story.directory.path
            assert True in threads.map(lambda way, path=path: way.launch(path), (forking, other))
    for story in stories:
        assert story.wait()["success"]
        assert ran_once(story, redis_server)


def test_a_hundred_runs_leave_no_zombie_and_no_open_file(quick):
    assert quick().complete()["success"]
    server, mine = only_server(), psutil.Process().num_fds()
    before = server.num_fds()
    stories = [quick() for _ in range(100)]
    for story in stories:
        assert story.start()
    for story in stories:
        assert story.wait()["success"]
    assert only_server() == server
    assert (server.num_fds(), psutil.Process().num_fds(), server.children()) == (before, mine, [])


def test_a_forked_runner_looks_like_one_that_was_spawned(run, forking):
    seen = []
    for way in (forking, Spawner(sys.executable)):
        story = run(steps=10_000)
        story.directory.write_spec(story.spec)
        way.launch(story.directory.path)
        story.until_it_trains()
        runner = psutil.Process(story.runner_pid())
        place = str(story.directory.path)
        files = sorted(str(path).replace(place, "RUN") for path in _open_files(runner.pid))
        words = [word.replace(place, "RUN") for word in runner.cmdline() if word]
        own_session = os.getsid(runner.pid) != os.getsid(0)
        seen.append((words, files, runner.cwd() == place, runner.environ(), own_session))
        story.kill_runner()
    forked, spawned = seen
    assert forked == spawned


def test_the_server_ends_with_its_service_and_the_run_goes_on(run):
    story = run(steps=10_000)
    story.directory.write_spec(story.spec)
    code = (
        "import sys, time; from swiftletd.runner.launching import Launcher; "
        "launcher = Launcher(sys.executable); launcher.launch(sys.argv[1]); time.sleep(600)"
    )
    service = subprocess.Popen([sys.executable, "-c", code, str(story.directory.path)])
    try:
        story.until_it_trains()
        (server,) = servers(service.pid)
    finally:
        service.kill()
        service.wait()
    server.wait(timeout=10)
    assert story.directory.is_alive()
    assert story.directory.request_stop("cancelled")
    story.wait()


def test_a_server_that_cannot_be_started_is_done_without(quick, monkeypatch, redis_server):
    def fail(self, python):
        raise OSError("no more processes")

    monkeypatch.setattr(ForkServer, "__init__", fail)
    story = quick()
    assert story.complete()["success"]
    assert ran_once(story, redis_server)


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def _open_files(pid: int) -> list[Path]:
    """What its file descriptors are, without the numbers that differ from process to process."""
    found = [path.readlink() for path in Path(f"/proc/{pid}/fd").iterdir()]
    return [Path(str(path).partition(":[")[0]) for path in found]
