"""What a process prints becomes the lines that a terminal would show."""

from __future__ import annotations

import doctest
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftletd.runner import lines
from swiftletd.runner.lines import PIECE_BYTES, LineAssembler, pieces, shown


def assemble(*chunks: bytes) -> list[str]:
    assembler = LineAssembler()
    return [line for chunk in chunks for line in assembler.feed(chunk)] + assembler.flush()


def test_the_examples_of_the_documentation_are_true():
    assert doctest.testmod(lines).failed == 0


@pytest.mark.parametrize(
    ("printed", "seen"),
    [
        (b"plain", "plain"),
        (b"windows\r", "windows"),
        (b"\rTrain:   1%\rTrain:  50%\rTrain: 100%", "Train: 100%"),
        (b"a long display\rshort", "shortg display"),
        ("\rVal: ███\r        \r".encode(), ""),
        (b"\x1b[31mred\x1b[0m text", "red text"),
        (b"not \xff\xfe utf-8", "not \ufffd\ufffd utf-8"),
    ],
)
def test_a_line_is_what_a_terminal_shows(printed, seen):
    assert shown(printed) == seen


def test_lines_are_whole_however_the_chunks_fall():
    assert assemble(b"one\ntw", b"o\n", b"", b"thr", b"ee") == ["one", "two", "three"]


def test_an_empty_line_is_a_line():
    assert assemble(b"\n\na\n") == ["", "", "a"]


def test_a_character_that_two_chunks_share_stays_whole():
    printed = "größe █\n".encode()
    for cut in range(len(printed)):
        assert assemble(printed[:cut], printed[cut:]) == ["größe █"]


def test_a_line_that_never_ends_comes_in_pieces():
    assembler = LineAssembler()
    found = [line for _ in range(100) for line in assembler.feed(b"x" * 5000)]
    assert {len(line) for line in found} == {PIECE_BYTES}
    assert sum(map(len, found + assembler.flush())) == 500_000


def test_a_display_that_is_painted_for_hours_is_one_line_and_little_memory():
    assembler = LineAssembler()
    for step in range(100_000):
        assert assembler.feed(f"\rTrain: {step:6d} of many [painted over again and again]".encode()) == []
    assert len(assembler._rest) < 3 * PIECE_BYTES
    assert assembler.feed(b"\n") == ["Train:  99999 of many [painted over again and again]"]


@given(st.binary(max_size=200), st.lists(st.integers(0, 200)))
def test_how_the_bytes_are_cut_into_chunks_changes_nothing(printed, cuts):
    edges = [0, *sorted(min(cut, len(printed)) for cut in cuts), len(printed)]
    chunks = [printed[start:end] for start, end in pairwise(edges)]
    assert assemble(*chunks) == assemble(printed)


@given(
    st.text(st.characters(exclude_characters="\r\n\x1b", exclude_categories=["Cs"]), max_size=300),
    st.integers(1, 400),
)
def test_long_lines_are_cut_and_nothing_of_them_is_lost(text, times):
    line = text * times
    found = list(pieces(line))
    assert "".join(found) == line
    assert all(len(piece.encode()) <= PIECE_BYTES for piece in found)
    assert "".join(assemble(line.encode())) == line
