"""Runs that several want to begin at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swiftletd.runner.files import write_text
from swiftletd.runner.launching import LaunchError
from swiftletd.runner.rundir import RunDir, begin


def test_a_run_that_many_begin_at_once_runs_once(run, forking) -> None:
    story = run(steps=2)
    with ThreadPoolExecutor(8) as pool:
        begun = [pool.submit(begin, forking, story.directory, story.spec) for _ in range(8)]
        assert [future.result() for future in begun] == [None] * 8
    assert story.wait()["success"]
    assert len(story.said("Step train started")) == 1


def test_a_run_that_nobody_can_begin_says_so(tmp_path: Path, forking) -> None:
    with pytest.raises(LaunchError):
        begin(forking, RunDir(tmp_path / "1"), {"run": "training-a-1"})


def test_a_file_that_many_replace_at_once_is_whole(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        written = [pool.submit(write_text, tmp_path / "stop", "cancelled") for _ in range(200)]
        assert [future.result() for future in written] == [None] * 200
    assert [path.name for path in tmp_path.iterdir()] == ["stop"]
