"""Backup and restore, with a real Redis."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path

import pytest

from swiftletd.suite.home import Home
from swiftletd.suite.settings import UpSettings
from swiftletd.suite.snapshot.archive import ArchiveError, Manifest, read, write
from swiftletd.suite.snapshot.backup import BackupError, load, save

BINARY = bytes(range(256))
LOG = Path("training") / "job" / "1" / "log" / "0000000000000000.log"


@pytest.fixture
def external(short_home, redis_server) -> UpSettings:
    """A suite with a Redis of its owner's."""
    return UpSettings(swiftlet_home=short_home.path, redis_url=redis_server.url)


@pytest.fixture
def embedded(short_home) -> UpSettings:
    return UpSettings(swiftlet_home=short_home.path)


def fill(redis) -> None:
    redis.hset("swiftlet:{training}:job:a", mapping={"s": "running", "b": BINARY})
    redis.xadd("swiftlet:{training}:events", {"e": BINARY})
    redis.xgroup_create("swiftlet:{training}:events", "gpu", 0)
    redis.zadd("swiftlet:{training}:jobs", {"a": 1})
    redis.set("swiftlet:{runs}:alive:training-a-1", "{}", ex=3600)
    redis.set("somebody:else", "theirs")


def test_what_was_saved_is_restored_and_what_came_later_is_gone(external, redis_server, tmp_path):
    redis = redis_server.client()
    fill(redis)
    kept = save(external, tmp_path / "state.tar.gz", with_runs=False)
    assert kept.keys == 4
    redis.delete("swiftlet:{training}:job:a")
    redis.hset("swiftlet:{training}:job:b", "s", "queued")
    redis.set("somebody:else", "changed")

    load(external, tmp_path / "state.tar.gz")

    assert redis.hget("swiftlet:{training}:job:a", "s") == "running"
    assert not redis.exists("swiftlet:{training}:job:b")
    assert [group["name"] for group in redis.xinfo_groups("swiftlet:{training}:events")] == ["gpu"]
    assert 3500 < redis.ttl("swiftlet:{runs}:alive:training-a-1") <= 3600
    assert redis.ttl("swiftlet:{training}:job:a") == -1
    assert redis.get("somebody:else") == "changed"
    redis.close()


def test_what_has_expired_since_is_not_restored(external, redis_server, tmp_path):
    with redis_server.client() as redis:
        redis.set("swiftlet:beat", "1", px=50)
        redis.set("swiftlet:stays", "1")
        save(external, tmp_path / "state.tar.gz", with_runs=False)
        end = time.time() + 0.1
        while time.time() < end:
            time.sleep(0.01)
        load(external, tmp_path / "state.tar.gz")
        assert redis.keys("swiftlet:*") == ["swiftlet:stays"]


def test_the_embedded_redis_of_a_stopped_suite_is_started_for_it(embedded, external, redis_server, tmp_path):
    # Given a backup of another suite
    with redis_server.client() as redis:
        fill(redis)
    file = tmp_path / "state.tar.gz"
    save(external, file, with_runs=False)

    # when it is restored into a home whose Redis is the embedded one
    load(embedded, file)

    # then it is in that Redis, and nothing runs afterwards
    assert save(embedded, tmp_path / "again.tar.gz", with_runs=False).keys == 4
    assert Home(embedded.home).end_leftovers() == []


def test_the_runs_come_back_with_it(external, redis_server, short_home, tmp_path):
    log = short_home.runs / LOG
    log.parent.mkdir(parents=True)
    log.write_text("2026-01-01T00:00:00.000Z O hello\n")
    (short_home.runs / "training" / "link").symlink_to("/etc/passwd")
    assert save(external, tmp_path / "all.tar.gz", with_runs=True).files == 1
    log.write_text("changed")
    (short_home.runs / "deploy").mkdir()

    assert load(external, tmp_path / "all.tar.gz").files == 1

    assert log.read_text() == "2026-01-01T00:00:00.000Z O hello\n"
    assert not (short_home.runs / "deploy").exists()
    assert list(short_home.path.glob("restore-*")) == []


def test_a_backup_is_for_its_owner_only(external, redis_server, tmp_path):
    save(external, tmp_path / "state.tar.gz", with_runs=False)
    assert (tmp_path / "state.tar.gz").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["state.tar.gz"]


def test_nothing_is_restored_while_the_suite_runs(external, redis_server, short_home, tmp_path):
    save(external, tmp_path / "state.tar.gz", with_runs=False)
    lock = short_home.lock()
    assert lock is not None
    with pytest.raises(BackupError, match="Stop it first: swiftletd down"):
        load(external, tmp_path / "state.tar.gz")


def test_nothing_is_restored_under_a_living_run(external, redis_server, short_home, tmp_path, bystander):
    runner = bystander()
    save(external, tmp_path / "state.tar.gz", with_runs=False)
    record = short_home.runs / "training" / "job" / "1" / "runner.json"
    record.parent.mkdir(parents=True)
    record.write_text(f'{{"pid": {runner.pid}, "start_time": {runner.start_time}}}')
    with pytest.raises(BackupError, match="training-job-1 still runs"):
        load(external, tmp_path / "state.tar.gz")


@pytest.mark.parametrize("name", ["../escape", "/etc/escape", "runs/../../escape", "other/file", "runs"])
def test_a_file_that_reaches_out_of_the_home_is_refused(tmp_path, name):
    file = tmp_path / "bad.tar.gz"
    write(file, Manifest(created_at="", version="", with_runs=False), [], tmp_path)
    with tarfile.open(file) as tar:
        parts = [(member, tar.extractfile(member).read()) for member in tar]
    with tarfile.open(file, "w:gz") as tar:
        for member, content in [*parts, (tarfile.TarInfo(name), b"")]:
            tar.addfile(member, io.BytesIO(content))
    with pytest.raises(ArchiveError, match="does not belong"):
        read(file, tmp_path / "new")
    assert not (tmp_path / "escape").exists()


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"\x1f\x8b\x08\x00"])
def test_what_is_no_backup_is_refused_and_nothing_changes(external, redis_server, tmp_path, content):
    with redis_server.client() as redis:
        redis.set("swiftlet:kept", "yes")
        (tmp_path / "no.tar.gz").write_bytes(content)
        with pytest.raises(BackupError, match="can't be read"):
            load(external, tmp_path / "no.tar.gz")
        assert redis.get("swiftlet:kept") == "yes"


def test_a_backup_of_a_newer_redis_is_refused_and_nothing_changes(external, redis_server, tmp_path):
    with redis_server.client() as redis:
        redis.set("swiftlet:kept", "yes")
        file = tmp_path / "newer.tar.gz"
        newer = Manifest(created_at="", version="", with_runs=False)
        write(file, newer, [(b"swiftlet:new", -1, b"\x00\x03new\xff\xff12345678")], tmp_path)
        with pytest.raises(BackupError, match="version or checksum"):
            load(external, file)
        assert redis.keys("*") == ["swiftlet:kept"]
