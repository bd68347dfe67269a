"""What files said is kept, and never told of a file that looks different now."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swiftletd.training.adapters.preflight.kept import (
    FEW_ENTRIES,
    MOST_ENTRIES,
    MOST_KEPT,
    TICK_NS,
    Kept,
    NotKept,
    look,
)


def later() -> int:
    """A time at which everything of this test has settled."""
    return time.time_ns() + 2 * TICK_NS


class Source:
    """A file or directory, and how often it was read."""

    def __init__(self, path: Path, now_ns: Callable[[], int] = later) -> None:
        self.path, self.reads = path, 0
        self.kept: Kept[dict[str, bytes]] = Kept(now_ns)

    def read(self) -> dict[str, bytes]:
        self.reads += 1
        files = sorted(self.path.rglob("*")) if self.path.is_dir() else [self.path]
        return {str(file): file.read_bytes() if file.is_file() else b"" for file in files}

    def ask(self) -> dict[str, bytes]:
        return self.kept.get("key", self.path, self.read, lambda _: True, depth=1)


def write(path: Path, data: bytes) -> None:
    """Write until stat shows it: within one tick of the clock nobody can tell."""
    before = look(path)
    path.write_bytes(data)
    while look(path) == before:
        path.write_bytes(data)


def test_what_looks_the_same_is_read_once(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    source = Source(tmp_path / "a")

    assert source.ask() == source.ask() == {str(tmp_path / "a"): b"1"}
    assert source.reads == 1


def test_what_changed_just_now_is_not_kept(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    source = Source(tmp_path / "a", time.time_ns)

    source.ask(), source.ask()

    assert source.reads == 2


def test_what_changed_while_it_was_read_is_not_kept(tmp_path: Path):
    file = tmp_path / "a"
    file.write_bytes(b"1")
    source = Source(file)

    def read_and_change() -> dict[str, bytes]:
        found = source.read()
        write(file, b"2")
        return found

    source.kept.get("key", file, read_and_change, lambda _: True)

    assert source.ask() == {str(file): b"2"}


def test_only_what_is_good_is_kept(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    source = Source(tmp_path / "a")

    for _ in range(2):
        source.kept.get("key", source.path, source.read, lambda _: False)

    assert source.reads == 2


def test_a_kept_answer_must_still_hold(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    source = Source(tmp_path / "a")

    for _ in range(2):
        source.kept.get("key", source.path, source.read, lambda _: True, lambda _: False)

    assert source.reads == 2


def test_what_is_not_there_raises_as_it_would(tmp_path: Path):
    kept: Kept[bytes] = Kept(later)
    with pytest.raises(FileNotFoundError):
        kept.get("key", tmp_path / "none", (tmp_path / "none").read_bytes, lambda _: True)


def test_a_large_directory_is_read_each_time(tmp_path: Path):
    for number in range(MOST_ENTRIES + 1):
        (tmp_path / str(number)).touch()

    assert look(tmp_path) == ()


def test_only_the_latest_are_kept(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    source = Source(tmp_path / "a")

    for key in [*range(MOST_KEPT + 1), 0]:
        source.kept.get(key, source.path, source.read, lambda _: True)

    assert source.reads == MOST_KEPT + 2


def test_the_quick_way_reads_nothing(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1")
    source = Source(tmp_path / "a")
    with pytest.raises(NotKept):
        source.kept.get_quickly("key", source.path, depth=1)

    assert source.ask() == source.kept.get_quickly("key", source.path, depth=1)
    assert source.reads == 1

    write(source.path, b"2")
    with pytest.raises(NotKept):
        source.kept.get_quickly("key", source.path, depth=1)


def test_the_quick_way_leaves_large_directories_to_the_other(tmp_path: Path):
    for number in range(FEW_ENTRIES):
        (tmp_path / str(number)).touch()
    source = Source(tmp_path)
    source.ask()

    with pytest.raises(NotKept):
        source.kept.get_quickly("key", tmp_path, depth=1)


NAMES = st.sampled_from(["a", "b", "sub/a", "sub/b"])
CHANGES = st.one_of(
    st.tuples(st.just("write"), NAMES, st.sampled_from([b"1", b"2", b"12"])),
    st.tuples(st.just("backdate"), NAMES, st.sampled_from([b"1", b"2", b"12"])),
    st.tuples(st.just("replace"), NAMES, st.sampled_from([b"1", b"2", b"12"])),
    st.tuples(st.just("link"), NAMES, NAMES),
    st.tuples(st.just("remove"), NAMES, st.none()),
    st.tuples(st.just("ask"), st.none(), st.none()),
)


@given(st.lists(CHANGES, max_size=12))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_to_the_files_the_answer_is_that_of_now(changes: list[tuple[str, str, bytes]]):
    base = Path(tempfile.mkdtemp())
    try:
        (base / "sub").mkdir()
        source = Source(base)
        for change, name, data in changes:
            if change != "ask":
                happen(change, base, base / name, data)
            assert source.ask() == Source(base).read()
    finally:
        shutil.rmtree(base)


def happen(change: str, base: Path, file: Path, data: bytes) -> None:
    if change == "write":
        file.unlink(missing_ok=True) if file.is_symlink() else None
        write(file, data)
    elif change == "backdate" and file.is_file() and not file.is_symlink():
        before = file.stat()
        write(file, data)  # the time of the change itself can't be set
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    elif change == "replace":
        (base / ".new").write_bytes(data)
        (base / ".new").replace(file)
    elif change == "link":
        file.unlink(missing_ok=True)
        file.symlink_to(base / str(data))
    elif change == "remove":
        file.unlink(missing_ok=True)
