"""The options of the two commands that print a log, and how they print it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from swiftlet.cli import render
from swiftlet.cli.app import App, F, json_option

if TYPE_CHECKING:
    from swiftlet import Deployment, Job

_OPTIONS = (
    click.option("-f", "--follow", is_flag=True, help="Go on with each new line until it has ended."),
    click.option("-n", "--tail", type=click.IntRange(1, 1000), help="Only the last so many lines [all]."),
    click.option("-g", "--grep", "text", metavar="TEXT", help="Only lines with this text, in any case."),
    click.option("--line", type=click.IntRange(min=1), help="Begin with this line, 1 for the first."),
    click.option("--attempt", type=click.IntRange(min=1), help="Of this attempt [the latest]."),
)


def log_options(command: F) -> F:
    """What a log command can be told."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return json_option(command)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The part of a log that is wanted."""

    follow: bool
    tail: int | None
    text: str | None
    line: int | None
    attempt: int | None
    level: str | None = None

    def lines(self, of: Job | Deployment) -> Iterable[Any]:
        """The lines. Raises UsageError for a combination that has no meaning."""
        wanted = {"text": self.text, "level": self.level, "line": self.line, "attempt": self.attempt}
        given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        if given and (self.follow or self.tail):
            raise click.UsageError(
                "--follow and --tail go with no other choice of lines: they show the log as it comes."
            )
        return of.search_logs(**given) if given else of.logs(follow=self.follow, tail=self.tail)


def print_lines(app: App, lines: Iterable[Any], *, as_json: bool) -> None:
    """One line of the log a line, coloured by its level."""
    for line in lines:
        if as_json:
            app.show_json_line(line)
        else:
            app.out.print(render.log_line(line.timestamp, line.level, line.message), soft_wrap=True)
