"""What the command line says: help, and values as people read them."""

from __future__ import annotations

from datetime import datetime, timedelta

import click
import pytest
from click.testing import CliRunner

from swiftlet.cli import cli, queue, render, watch
from swiftlet.cli.app import plain
from swiftlet.gpu.v1.queue_pb2 import QueueItem
from swiftlet.training.v1.job_pb2 import Progress

COMMANDS = (
    "chat delete deploy events export gpus health job jobs logs params queue start stop system train watch"
)


def commands(group, path=()):
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_the_commands_that_scripts_rely_on():
    assert " ".join(sorted(cli.commands)) == COMMANDS
    assert sorted(cli.commands["deploy"].commands) == [
        "create",
        "delete",
        "logs",
        "ls",
        "start",
        "status",
        "stop",
    ]
    assert {"show", "hold", "move", "release", "remove", "process", "pause", "resume", "score"} <= set(
        cli.commands["queue"].commands
    )


def test_help_lists_the_exit_codes():
    shown = CliRunner().invoke(cli, ["--help"]).output

    assert "0 done, 1 failed, 2 wrong usage, 3 nothing answers" in shown


@pytest.mark.parametrize("path", [path for path, _ in commands(cli)], ids=" ".join)
def test_every_command_explains_itself_and_its_options(path):
    result = CliRunner().invoke(cli, [*path, "--help"])
    command = dict(commands(cli))[path]

    assert result.exit_code == 0
    assert command.help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


def test_the_shell_can_complete_it():
    source = CliRunner().invoke(cli, [], prog_name="swiftlet", env={"_SWIFTLET_COMPLETE": "bash_source"})

    assert "complete -o nosort -F _swiftlet_completion swiftlet" in source.output


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3720, "1 h 02 min"),
        (183600, "2 d 3 h"),
    ],
)
def test_durations(seconds, text):
    assert render.duration(seconds) == text


def test_times_of_today_are_short():
    at = datetime(2026, 3, 1, 10, 4, 5).astimezone()

    assert render.moment(at.isoformat(), now=at) == "10:04:05"
    assert render.moment(at.isoformat(), now=at.replace(day=2)) == "2026-03-01 10:04"
    assert render.moment("") == ""
    assert render.moment("soon") == "soon"


def test_an_estimated_time_is_no_more_exact_than_it_deserves():
    friday = datetime(2026, 1, 2, 10).astimezone()
    later = {hours: (friday + timedelta(hours=hours)).isoformat() for hours in (1, 20, 200)}
    assert [render.about(at, friday) for at in later.values()] == ["11:00", "Sat 06:00", "2026-01-10"]
    assert (render.about(""), render.about("soon")) == ("", "soon")


@pytest.mark.parametrize(
    ("p50", "p90", "said"),
    [
        (1, 2, "11:00 to 12:00"),
        (1, 20, "11:00 to Sat 06:00"),
        (19, 20, "Sat 05:00 to 06:00"),
        (20, 30, "Sat 06:00 to 16:00"),
        (20, 20, "Sat 06:00"),
        (1, None, "11:00 or later"),
        (None, None, "unknown"),
    ],
)
def test_a_range_of_starts_names_the_day_once(p50, p90, said, monkeypatch):
    friday = datetime(2026, 1, 2, 10).astimezone()
    about = render.about
    monkeypatch.setattr(render, "about", lambda at: about(at, friday))
    times = ["" if hours is None else (friday + timedelta(hours=hours)).isoformat() for hours in (p50, p90)]
    assert queue.starts(QueueItem(predicted_start_p50=times[0], predicted_start_p90=times[1])) == said


def test_text_from_elsewhere_can_not_steer_the_terminal():
    assert plain("a\x1b[31mb\r\n\tc\u202e") == "a [31mb  \tc "


def test_a_step_on_one_line_leaves_out_what_is_not_known():
    early = Progress(phase="loading")
    later = Progress(
        phase="training", progress=50.4, step=5, total_steps=10, loss=0.13321, learning_rate=1e-4
    )

    assert watch.progress_line("a", early) == "a loading  0 %"
    assert watch.progress_line("a", later) == "a training  50 %  step 5/10  loss 0.1332  lr 0.0001"


def test_a_held_job_says_so():
    item = QueueItem(job_id="a", queue_position=3, held=True, reason="Held.")

    assert watch.waiting_line(item) == "a waits at place 3: held. Starts unknown"
