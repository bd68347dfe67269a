"""The log of an ended run gives way to a line that says so, wherever the removal is cut off."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from swiftletd.runner import removal
from swiftletd.runner.log import STDOUT, LogWriter
from swiftletd.runner.rundir import RunDir

SENTENCE = "The log of this run (1.0 MiB) was removed."


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A directory of a run that has printed two lines."""
    path = tmp_path / "1"
    path.mkdir()
    writer = LogWriter(path / "log")
    writer.write(STDOUT, ["one", "two"])
    writer.close()
    return RunDir(path)


def texts(run: RunDir) -> list[str]:
    return [line.text for line in run.read_log(0, 1000)[0]]


def names(run: RunDir) -> set[str]:
    return {path.name for path in run.path.iterdir()}


def test_who_reads_it_is_told(run: RunDir):
    end = run.log_size()
    assert run.remove_log(SENTENCE)
    assert run.remove_log("Another sentence.")
    assert texts(run) == [SENTENCE]
    assert run.count_lines() == 1
    assert [line.text for line in run.tail_log(10)[0]] == [SENTENCE]
    assert run.read_log(end + 1000, 1000)[0] == []
    assert names(run) == {"log"}


@pytest.mark.parametrize("cut", range(6))
def test_a_removal_that_is_cut_off_is_finished_by_the_next(run: RunDir, cut: int, monkeypatch):
    left = cut

    def dying(real):
        def step(*args, **kwargs):
            nonlocal left
            if not left:
                raise KeyboardInterrupt
            left -= 1
            return real(*args, **kwargs)

        return step

    with monkeypatch.context() as context:
        context.setattr(Path, "rename", dying(Path.rename))
        context.setattr(shutil, "rmtree", dying(shutil.rmtree))
        context.setattr(removal, "write_text", dying(removal.write_text))
        try:
            run.remove_log(SENTENCE)
        except KeyboardInterrupt:
            pass

    assert run.remove_log("Said later.")
    assert texts(run) in ([SENTENCE], ["Said later."])
    assert names(run) == {"log"}


def test_a_full_disk_has_room_for_the_line_once_the_log_is_gone(run: RunDir, monkeypatch):
    real = os.write

    def write(handle: int, data: bytes) -> int:
        if (run.path / "log").exists():
            raise OSError(errno.ENOSPC, "full")
        return real(handle, data)

    monkeypatch.setattr(os, "write", write)
    assert run.remove_log(SENTENCE)
    assert texts(run) == [SENTENCE]


def test_the_log_of_a_run_that_lives_is_not_touched(run: RunDir, monkeypatch):
    monkeypatch.setattr(RunDir, "is_alive", lambda self: True)
    assert not run.remove_log(SENTENCE)
    assert texts(run) == ["one", "two"]


def test_a_directory_that_is_gone_stays_gone(tmp_path: Path):
    assert RunDir(tmp_path / "gone").remove_log(SENTENCE)
    assert not (tmp_path / "gone").exists()
