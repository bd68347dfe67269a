"""Redis comes and goes; the run goes on, and afterwards Redis has heard everything in its order."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager

import pytest

from support.redis import RedisServer
from support.runs import events, followed_log, log_on_disk
from support.waiting import eventually

ALL = ["run_started", "run_step_ended", "run_step_ended", "run_ended"]


def assert_everything_was_heard(server: RedisServer, story) -> None:
    assert [event["type"] for event in events(server, story.name)] == ALL
    assert followed_log(server, story.name) == log_on_disk(story.directory)


def test_redis_is_away_from_the_start(new_run, private_redis):
    story = new_run(private_redis, fake={"print_lines": 2000})
    private_redis.stop()
    story.start()
    eventually(lambda: story.directory.exit() is not None, "the run did not end", story.story)
    private_redis.start()
    assert story.wait()["success"]
    assert_everything_was_heard(private_redis, story)
    said = (story.directory.path / "runner.log").read_text()
    assert said.count("Going on without it") == 1
    assert said.count("is back") == 1


def test_redis_is_killed_and_comes_back(new_run, private_redis):
    story = new_run(private_redis, steps=60, fake={"print_lines": 500})
    story.start()
    for step in (5, 20, 40):
        story.until_it_trains(step)
        with private_redis.client() as client:
            client.execute_command("WAITAOF", 1, 0, 2000)
        private_redis.kill()
        private_redis.start()
    assert story.wait()["success"]
    assert [event["type"] for event in events(private_redis, story.name)] == ALL


def test_redis_freezes(new_run, private_redis):
    story = new_run(private_redis, steps=40)
    story.start()
    story.until_it_trains(5)
    private_redis.pause()
    eventually(lambda: story.directory.exit() is not None, "the run did not end", story.story)
    private_redis.resume()
    assert story.wait()["success"]
    assert_everything_was_heard(private_redis, story)


def test_redis_is_full_and_a_stop_is_heard_nevertheless(new_run, private_redis):
    story = new_run(private_redis, steps=10_000)
    with private_redis.client() as client:
        client.config_set("maxmemory", 1)
        story.start()
        story.until_it_trains()
        client.config_set("maxmemory", 0)
        client.set(f"swiftlet:{{runs}}:stop:{story.name}", "lease_revoked")
        client.config_set("maxmemory", 1)
        eventually(lambda: story.directory.exit() is not None, "the stop was not heard", story.story)
        client.config_set("maxmemory", 0)
    assert story.wait()["stopped"] == "lease_revoked"
    assert [event["type"] for event in events(private_redis, story.name)] == [ALL[0], ALL[1], ALL[3]]


def test_a_redis_that_runs_full_again_and_again_hears_everything_once(new_run, private_redis):
    story = new_run(private_redis, steps=60, fake={"print_lines": 2000})
    with private_redis.client() as client:
        story.start()
        for step in (5, 20, 40):
            story.until_it_trains(step)
            client.config_set("maxmemory", 1)
            refused = refusals(client)
            eventually(lambda: refusals(client) > refused + 2, "nothing was refused", story.story)  # noqa: B023
            client.config_set("maxmemory", 0)
        assert story.wait()["success"]
        sent = [json.loads(fields["j"]) for _, fields in client.xrange("swiftlet:{runs}:events")]
        assert [event["type"] for event in sent] == ALL
        batches = [fields for _, fields in client.xrange("swiftlet:{runs}:tail") if fields["kind"] == "log"]
    assert [batch["start"] for batch in batches[1:]] == [batch["end"] for batch in batches[:-1]]
    assert_everything_was_heard(private_redis, story)


def test_a_redis_that_is_a_replica_for_a_while_has_heard_everything_afterwards(new_run, private_redis):
    story = new_run(private_redis, steps=60, fake={"print_lines": 500})
    story.start()
    story.until_it_trains(5)
    with private_redis.client() as client:
        client.replicaof("127.0.0.1", 1)  # where nobody is: it keeps what it has
        story.until_it_trains(40)
        client.execute_command("REPLICAOF", "NO", "ONE")
    assert story.wait()["success"]
    assert_everything_was_heard(private_redis, story)


def refusals(client) -> int:
    return client.info("errorstats").get("errorstat_OOM", {}).get("count", 0)


@contextmanager
def proxy_that_swallows_replies(server: RedisServer, swallow: int):
    """The address of a proxy; its first so many connections are closed before a reply comes back."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = swallow

    def serve(client: socket.socket, mute: bool) -> None:
        with client, socket.socket(socket.AF_UNIX) as upstream:
            upstream.connect(str(server.socket))
            threading.Thread(target=copy, args=(client, upstream), daemon=True).start()
            replies = 0
            while data := upstream.recv(65536):
                replies += 1
                # The greeting is answered, so that commands follow it.
                if mute and replies > 1:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)

    def copy(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            return

    def accept() -> None:
        nonlocal left
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(client, left > 0), daemon=True).start()
            left -= 1

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def test_a_reply_that_is_lost_loses_nothing(new_run, private_redis):
    with proxy_that_swallows_replies(private_redis, 3) as url:
        story = new_run(url)
        assert story.complete()["success"]
    assert_everything_was_heard(private_redis, story)


@pytest.mark.parametrize("over", ["url", "tcp_url"])
def test_a_password_works_and_is_never_said(new_run, private_redis_with_password, over):
    story = new_run(getattr(private_redis_with_password, over))
    assert story.complete()["success"]
    assert_everything_was_heard(private_redis_with_password, story)
    for path in story.directory.path.rglob("*"):
        if path.is_file() and path.name != "spec.json":
            assert b"s3cret" not in path.read_bytes()
    assert (story.directory.path / "spec.json").stat().st_mode & 0o77 == 0


def test_a_wrong_password_does_not_hurt_the_run(new_run, private_redis_with_password):
    story = new_run(f"unix://:wrong@{private_redis_with_password.socket}")
    story.start()
    eventually(lambda: story.directory.exit() is not None, "the run did not end", story.story)
    assert story.directory.exit()["success"]
    said = (story.directory.path / "runner.log").read_text()
    assert "WRONGPASS" in said
    assert "wrong@" not in said
