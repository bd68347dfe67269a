"""Log files: set aside when large, followed while they grow."""

from __future__ import annotations

import os

import pytest

from swiftletd.suite.logfiles import Follower, last_lines, open_log, rotate


@pytest.fixture
def log(tmp_path):
    return tmp_path / "gpu.log"


def test_a_small_file_stays(log):
    log.write_bytes(b"x" * 10)
    assert not rotate(log, largest=10)
    assert log.stat().st_size == 10


def test_a_file_that_is_not_there_is_no_error(log):
    assert not rotate(log)
    assert last_lines(log, 5) == []


def test_the_last_three_are_kept_and_the_writer_goes_on(log):
    writer = open_log(log)
    for text in (b"first", b"second", b"third", b"fourth"):
        os.write(writer, text)
        assert rotate(log, largest=1)
    os.write(writer, b"now")
    os.close(writer)
    aside = [log.with_name(f"gpu.log.{number}").read_bytes() for number in (1, 2, 3)]
    assert aside == [b"fourth", b"third", b"second"]
    assert log.read_bytes() == b"now"
    assert not log.with_name("gpu.log.4").exists()


def test_a_log_is_for_its_owner_only(log):
    os.close(open_log(log))
    assert log.stat().st_mode & 0o777 == 0o600


def test_the_end_of_a_file(log):
    log.write_text("one\ntwo\nthree\n")
    assert last_lines(log, 2) == ["two", "three"]
    log.write_bytes(b"\xff\n")
    assert last_lines(log, 2) == ["�"]


def test_a_follower_gives_what_comes_in_whole_lines(log, tmp_path):
    log.write_text("old\n")
    follower = Follower({"gpu": log, "later": tmp_path / "later.log"})
    assert list(follower.read()) == []

    with log.open("a") as file:
        file.write("one\ntwo\nhal")
    assert list(follower.read()) == [("gpu", "one"), ("gpu", "two")]

    with log.open("a") as file:
        file.write("f\n")
    (tmp_path / "later.log").write_text("there\n")
    assert list(follower.read()) == [("gpu", "half"), ("later", "there")]


def test_a_follower_starts_again_in_a_file_that_was_emptied(log):
    log.write_text("a long old line\n")
    follower = Follower({"gpu": log})
    os.truncate(log, 0)
    log.write_text("new\n")
    assert list(follower.read()) == [("gpu", "new")]
