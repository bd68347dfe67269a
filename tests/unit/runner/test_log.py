"""The log of a run: written in segments, read by offset, from the end, by words."""

from __future__ import annotations

import errno
import os
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.runner import log as log_module
from swiftletd.runner.log import STDERR, STDOUT, SWIFTLET, LogReader, LogWriter, parse_line, parse_lines
from swiftletd.runner.rundir import RunDir, RunDirs

AT = 1_795_425_880.123
SHOWN = "2026-11-23T09:24:40.123Z"


@pytest.fixture
def directory(tmp_path, monkeypatch):
    """The directory of a log with segments of little more than 1000 bytes."""
    monkeypatch.setattr(log_module, "SEGMENT_BYTES", 1000)
    return tmp_path / "log"


def write_numbers(directory, count: int) -> LogWriter:
    writer = LogWriter(directory, lambda: AT)
    for number in range(count):
        writer.write(STDOUT, [f"line {number:04d}"])
    return writer


def everything(reader: LogReader) -> bytes:
    return b"".join(data for _, data in reader.blocks())


def test_a_line_has_its_time_its_stream_and_its_text(directory):
    writer = LogWriter(directory, lambda: AT)
    writer.write(STDERR, ["größe"])
    writer.write(SWIFTLET, [""])
    assert everything(LogReader(directory)).decode() == f"{SHOWN} E größe\n{SHOWN} S \n"


def test_a_segment_is_named_by_the_offset_at_which_it_begins(directory):
    writer = write_numbers(directory, 100)
    starts = sorted(int(path.stem) for path in directory.iterdir())
    sizes = [(directory / f"{start:016d}.log").stat().st_size for start in starts]
    assert len(starts) > 2
    assert starts == [sum(sizes[:index]) for index in range(len(starts))]
    assert writer.size == sum(sizes) == LogReader(directory).size()


def test_a_writer_goes_on_where_the_log_ends(directory):
    write_numbers(directory, 10).close()
    assert LogWriter(directory).size == LogReader(directory).size()


def test_a_full_disk_loses_no_line(directory, monkeypatch):
    write, left = os.write, 40

    def write_to_a_full_disk(handle, data):
        nonlocal left
        if left == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        taken, left = data[:left], max(0, left - len(data))
        return write(handle, taken)

    writer = LogWriter(directory, lambda: AT)
    monkeypatch.setattr(os, "write", write_to_a_full_disk)
    writer.write(STDOUT, ["first", "second"])
    assert writer.stuck
    left = 10**9
    writer.flush()
    assert not writer.stuck
    assert [line.text for line in parse_lines(everything(LogReader(directory)), 0)] == ["first", "second"]


def test_what_is_there_is_read_in_parts_and_in_order(directory):
    write_numbers(directory, 200)
    run = RunDir(directory.parent)
    texts, offset = [], 0
    while True:
        lines, after = run.read_log(offset, 300)
        if not lines:
            break
        assert lines[0].offset == offset
        texts += [line.text for line in lines]
        offset = after
    assert texts == [f"line {number:04d}" for number in range(200)]
    assert offset == run.log_size()


def test_reading_from_within_a_line_begins_with_the_next(directory):
    write_numbers(directory, 3)
    run = RunDir(directory.parent)
    lines, _ = run.read_log(0, 10**6)
    for offset in range(lines[1].offset + 1, lines[2].offset + 1):
        assert run.read_log(offset, 10**6)[0] == lines[2:]


def test_a_line_that_is_not_whole_yet_is_not_seen(directory):
    write_numbers(directory, 1).close()
    with next(directory.iterdir()).open("ab") as file:
        file.write(b"torn")
    run = RunDir(directory.parent)
    lines, offset = run.read_log(0, 10**6)
    assert [line.text for line in lines] == ["line 0000"]
    assert run.read_log(offset, 10**6) == ([], offset)
    assert run.count_lines() == 1


def test_segments_that_were_removed_are_passed_over(directory):
    write_numbers(directory, 200)
    first, *_ = sorted(directory.iterdir())
    gone = first.read_bytes().count(b"\n")
    first.unlink()
    lines, _ = RunDir(directory.parent).read_log(0, 10**6)
    assert lines[0].text == f"line {gone:04d}"


@pytest.mark.parametrize("wanted", [0, 1, 2, 35, 199, 200, 201, 10_000])
def test_the_last_lines(directory, wanted):
    write_numbers(directory, 200)
    run = RunDir(directory.parent)
    lines, offset = run.tail_log(wanted)
    assert [line.text for line in lines] == [f"line {number:04d}" for number in range(200)][
        200 - min(wanted, 200) :
    ]
    assert offset == run.log_size()


@pytest.mark.parametrize("line", [1, 2, 35, 36, 199, 200])
@pytest.mark.parametrize("block", [1, 7, 1 << 18])
def test_a_line_is_found_by_its_number(directory, monkeypatch, line, block):
    monkeypatch.setattr("swiftletd.runner.log.BLOCK_BYTES", block)
    write_numbers(directory, 200)
    run = RunDir(directory.parent)
    lines, _ = run.read_log(run.line_offset(line), 10**6)
    assert lines[0].text == f"line {line - 1:04d}"


def test_a_line_that_is_not_there_yet_begins_at_the_end(directory):
    write_numbers(directory, 3)
    run = RunDir(directory.parent)
    assert run.line_offset(4) == run.line_offset(400) == run.log_size()


def test_directories_are_kept_with_what_they_counted_until_they_are_removed(tmp_path):
    homes = [tmp_path / name for name in "abc"]
    for home in homes:
        (home / "1").mkdir(parents=True)
        write_numbers(home / "1" / "log", 5).close()
    dirs = RunDirs(most=2)
    first = dirs[homes[0] / "1"]
    assert first.count_lines() == 5
    assert dirs[homes[0] / "1"] is first

    # What was not asked for lately makes room for others
    assert dirs[homes[1] / "1"] is not dirs[homes[2] / "1"]
    assert dirs[homes[0] / "1"] is not first

    # A directory that is made anew is counted anew
    shutil.rmtree(homes[0])
    dirs.forget(homes[0])
    (homes[0] / "1").mkdir(parents=True)
    write_numbers(homes[0] / "1" / "log", 2).close()
    assert dirs[homes[0] / "1"].count_lines() == 2


def test_counting_counts_only_what_is_new(directory, monkeypatch):
    writer = write_numbers(directory, 200)
    run = RunDir(directory.parent)
    assert run.count_lines() == 200
    before = dict(run.log._counted)
    writer.write(STDOUT, ["one more"])
    assert run.count_lines() == 201
    changed = [start for start, counted in run.log._counted.items() if before.get(start) != counted]
    assert len(changed) == 1


def test_a_run_without_a_log_reads_as_an_empty_one(tmp_path):
    run = RunDir(tmp_path)
    assert run.log_size() == run.count_lines() == 0
    assert run.read_log(0, 1000) == ([], 0)
    assert run.tail_log(10) == ([], 0)
    assert run.search("x", limit=10) == ([], 0)


def test_search_finds_in_any_case_and_goes_on_where_it_stopped(directory):
    writer = write_numbers(directory, 100)
    for number in range(5):
        writer.write(STDERR, [f"CUDA out of MEMORY {number}"])
        writer.write(STDOUT, ["time 2026 says nothing"])
    run = RunDir(directory.parent)
    first, offset = run.search("out of memory", limit=2)
    rest, end = run.search("out of memory", limit=10, offset=offset)
    assert [line.text[-1] for line in first + rest] == list("01234")
    assert end == run.log_size()


def test_search_looks_at_the_text_alone_and_takes_it_literally(directory):
    writer = write_numbers(directory, 3)
    writer.write(STDOUT, ["a.*b (1)"])
    run = RunDir(directory.parent)
    assert run.search("2026-11-23", limit=10)[0] == []
    assert [line.text for line in run.search("A.*B (1", limit=10)[0]] == ["a.*b (1)"]


def test_search_takes_only_what_is_asked_for(directory):
    writer = write_numbers(directory, 50)
    writer.write(STDERR, ["line that went wrong"])
    found, _ = RunDir(directory.parent).search("line", limit=10, keep=lambda line: line.stream == STDERR)
    assert [line.text for line in found] == ["line that went wrong"]


def test_search_ends_after_so_many_bytes(directory, monkeypatch):
    write_numbers(directory, 200)
    run = RunDir(directory.parent)
    found, offset = run.search("nothing like it", limit=10, max_bytes=1)
    assert found == []
    assert 0 < offset < run.log_size()


def test_what_no_runner_wrote_is_text_alone():
    assert parse_line(b"\xff torn in two", 7).text == "\ufffd torn in two"
    assert parse_line(b"", 0).stream == ""


texts = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=40)


@given(
    st.lists(st.tuples(st.sampled_from("OES"), texts), min_size=1, max_size=40),
    st.integers(0, 3000),
    st.integers(1, 500),
)
def test_every_line_is_read_once_from_any_offset(tmp_path_factory, written, offset, max_bytes):
    directory = tmp_path_factory.mktemp("run")
    writer = LogWriter(directory / "log", lambda: AT)
    for stream, text in written:
        writer.write(stream, [text])
    run = RunDir(directory)
    every, end = run.read_log(0, 10**6)
    assert [(line.stream, line.text) for line in every] == written
    assert end == writer.size
    found, _ = run.read_log(offset, max_bytes)
    behind = [line for line in every if line.offset >= offset]
    assert found == behind[: len(found)]
    assert bool(found) == bool(behind)
    writer.close()
