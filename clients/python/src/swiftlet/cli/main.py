"""The command line: its commands, and what becomes of errors."""

from __future__ import annotations

import sys
from typing import Any

import click

from swiftlet.cli import deploy, jobs, machine, queue, train, watch
from swiftlet.cli.app import INTERRUPTED, App, exit_code

EPILOG = """\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing answers, 4 no such thing,
5 not in this state, 6 no answer in time, 130 interrupted."""


class Swiftlet(click.Group):
    """Ends with one or two lines and an exit code where something goes wrong."""

    def invoke(self, ctx: click.Context) -> Any:
        from swiftlet import SwiftletError

        try:
            return super().invoke(ctx)
        except SwiftletError as error:
            ctx.ensure_object(App).show_error(error)
            sys.exit(exit_code(error))
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


@click.group(
    cls=Swiftlet,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=EPILOG,
)
@click.option(
    "--address", metavar="HOST:PORT", envvar="SWIFTLET_ADDRESS", help="Where the suite is [127.0.0.1:8000]."
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for an answer.",
)
@click.version_option(package_name="swiftlet", prog_name="swiftlet")
@click.pass_context
def cli(context: click.Context, address: str | None, timeout: float) -> None:
    """Fine-tune and serve language models on your team's GPUs."""
    context.obj = App(address, timeout)


for module in (train, watch, jobs, machine, queue, deploy):
    for command in module.COMMANDS:
        cli.add_command(command)


def main() -> None:
    """Entry point of the console script."""
    cli(prog_name="swiftlet")
