"""The supervisor at work on real processes."""

from __future__ import annotations

import signal
import time

from support.waiting import eventually
from swiftletd.suite import record
from swiftletd.suite.logfiles import LARGEST
from swiftletd.suite.plan import Readiness
from swiftletd.suite.process import Process, listener


def test_it_starts_all_in_order_says_so_and_stops_all(suite):
    suite.start_all()
    pids = [suite.process(name).pid for name in ("redis", "gpu", "envoy")]
    assert pids == sorted(pids)

    suite.signal(signal.SIGTERM)
    code, out, err = suite.wait()

    assert (code, err) == (0, "")
    assert f"Swiftlet is up at http://127.0.0.1:{suite.port}" in out
    assert all(str(pid) in out for pid in pids)
    assert not suite.left()
    assert not suite.home.record.exists()
    stops = [line.split()[1] for line in suite.log().splitlines() if "-> stopping" in line]
    assert stops == ["envoy:", "gpu:", "redis:"]


def test_what_is_killed_is_there_again(suite):
    suite.start_all()
    for name in ("redis", "gpu", "envoy"):
        before = suite.process(name)
        before.signal(signal.SIGKILL)
        eventually(lambda before=before: not before.is_alive, "it lives")
        eventually(suite.is_up, f"{name} did not come back", suite.log)
        assert suite.process(name) != before
    assert "was ended by SIGKILL" in suite.log()


def test_redis_keeps_its_data_over_a_crash(suite):
    suite.start_all()
    socket = suite.home.run / "redis.sock"
    from redis import Redis

    with Redis(unix_socket_path=str(socket)) as redis:
        redis.set("swiftlet:kept", "yes")
        redis.execute_command("WAITAOF", 1, 0, 5000)
    suite.process("redis").signal(signal.SIGKILL)
    eventually(lambda: "redis: backing off" in suite.log(), "nobody noticed", suite.log)
    eventually(suite.is_up, "redis did not come back", suite.log)
    with Redis(unix_socket_path=str(socket)) as redis:
        assert redis.get("swiftlet:kept") == b"yes"
        assert redis.config_get("appendonly", "port") == {"appendonly": "yes", "port": "0"}
    assert socket.stat().st_mode & 0o777 == 0o700


def test_one_that_never_gets_healthy_ends_the_suite_with_its_last_words(suite):
    broken = suite.standin(
        "gpu",
        "broken",
        "GPU_SWEEP: must be a number",
        ready=Readiness(kind="grpc", address="unix:/nowhere"),
        after=("redis",),
    )
    suite.start(suite.redis, broken, suite.front)
    code, out, err = suite.wait()
    assert (code, out) == (1, "")
    assert "gpu ended with exit code 1, 3 times in a row" in err
    assert "GPU_SWEEP: must be a number" in err
    assert not suite.left()


def test_a_second_ctrl_c_ends_what_does_not_want_to_end(suite):
    suite.start(suite.page("envoy", "stubborn", grace=600))
    eventually(suite.is_up, "not up", suite.log)
    stubborn = suite.process("envoy")
    suite.signal(signal.SIGINT)
    eventually(lambda: "-> stopping" in suite.log(), "it does not stop", suite.log)
    assert stubborn.is_alive
    suite.signal(signal.SIGINT)
    code, _, _ = suite.wait()
    assert code == 0
    assert not stubborn.is_alive


def test_what_a_killed_supervisor_left_is_ended_and_the_runs_go_on(suite, bystander):
    runner = bystander(SWIFTLET_RUN="training-job-1")
    suite.start_all()
    members = {suite.process(name) for name in ("redis", "gpu", "envoy")}
    suite.signal(signal.SIGKILL)
    suite.wait()
    assert all(member.is_alive for member in members)

    ended = suite.home.end_leftovers()

    assert set(ended) == members
    assert not any(member.is_alive for member in members)
    assert runner.is_alive
    assert not suite.home.record.exists()


def test_what_was_started_but_never_written_down_is_found_by_its_socket(suite):
    suite.start(suite.redis)
    eventually(suite.is_up, "not up", suite.log)
    redis = suite.process("redis")
    suite.signal(signal.SIGKILL)
    suite.wait()
    suite.home.record.unlink()

    assert listener(suite.home.run / "redis.sock") == redis
    assert suite.home.end_leftovers() == [redis]
    assert not redis.is_alive


def test_a_stranger_that_got_the_pid_of_a_member_is_left_alone(suite, bystander):
    stranger = bystander()
    suite.start(suite.redis)
    eventually(suite.is_up, "not up", suite.log)
    text = suite.home.record.read_text()
    redis = suite.process("redis")
    suite.signal(signal.SIGTERM)
    suite.wait()
    suite.home.record.write_text(text.replace(f'"pid": {redis.pid}', f'"pid": {stranger.pid}'))

    assert suite.home.end_leftovers() == []
    assert stranger.is_alive


def test_a_large_log_is_set_aside_under_a_process_that_writes_to_it(suite):
    suite.start(suite.redis, suite.service)
    eventually(suite.is_up, "not up", suite.log)
    log = suite.home.path / "logs" / "gpu.log"
    with log.open("ab") as file:
        file.write(b"x" * LARGEST + b"\n")
    suite.process("redis").signal(signal.SIGKILL)  # wakes the supervisor
    eventually(lambda: log.stat().st_size < LARGEST, "it was not set aside")
    assert log.with_name("gpu.log.1").stat().st_size > LARGEST


def test_the_record_can_be_read_at_any_moment(suite):
    suite.start_all()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        found = record.read(suite.home.record)
        assert found is not None
        assert found.supervisor == Process.of(suite.supervisor.pid)
        for process in found.processes[2:]:
            process.signal(signal.SIGKILL)
    eventually(suite.is_up, "not up again", suite.log)
    assert suite.log().count("was ended by SIGKILL") > 1
