"""Files are whole or not there, and one process at a time works in a directory."""

from __future__ import annotations

import errno
import os

import pytest

from swiftletd.runner import files


def test_a_file_is_replaced_at_once_and_private(tmp_path):
    path = tmp_path / "exit.json"
    files.write_json(path, {"a": 1}, sync=True)
    with path.open() as before:
        files.write_json(path, {"a": 2})
        assert before.read() == '{"a": 1}\n'
    assert files.read_json(path) == {"a": 2}
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["exit.json"]


def test_a_file_that_is_not_there_is_none(tmp_path):
    assert files.read_json(tmp_path / "exit.json") is None
    assert files.read_json_lines(tmp_path / "steps.jsonl") == []


def test_a_last_line_that_was_torn_off_is_left_out(tmp_path):
    path = tmp_path / "steps.jsonl"
    files.append_json(path, {"step": "train"})
    with path.open("a") as file:
        file.write('{"step": "exp')
    assert files.read_json_lines(path) == [{"step": "train"}]


def test_a_full_disk_leaves_no_half_line(tmp_path, monkeypatch):
    path = tmp_path / "steps.jsonl"
    files.append_json(path, {"step": "train"})
    write = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: write(handle, data[:5]))
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        files.append_json(path, {"step": "export"})
    monkeypatch.undo()
    files.append_json(path, {"step": "export"})
    assert files.read_json_lines(path) == [{"step": "train"}, {"step": "export"}]


def test_a_second_lock_is_refused_until_the_first_is_let_go(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.05)
    path = tmp_path / "lock"
    assert not files.is_locked(path)
    first = files.lock(path)
    assert first is not None
    assert files.is_locked(path)
    assert files.lock(path) is None
    os.close(first)
    assert not files.is_locked(path)
    second = files.lock(path)
    assert second is not None
    os.close(second)
