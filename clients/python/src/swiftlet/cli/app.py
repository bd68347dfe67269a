"""What every command needs: the client, the terminal, and one way to end with an error."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console, RenderableType
from rich.text import Text

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from swiftlet import Client, SwiftletError

F = TypeVar("F", bound=Callable[..., Any])

OK, FAILED, USAGE, UNREACHABLE, NOT_FOUND, WRONG_STATE, TIMEOUT, INTERRUPTED = 0, 1, 2, 3, 4, 5, 6, 130
# Wide enough for every table, where there is no terminal whose width could be asked.
PIPE_WIDTH = 200


class App:
    """One run of the command."""

    def __init__(self, address: str | None = None, timeout: float = 30.0) -> None:
        self._address, self._timeout = address, timeout
        self.out = console(sys.stdout)
        self.err = console(sys.stderr)

    @cached_property
    def client(self) -> Client:
        from swiftlet import Client

        try:
            return Client(self._address, timeout=self._timeout)
        except ValueError as error:
            raise click.UsageError(str(error)) from error

    def say(self, *parts: str | tuple[str, str]) -> None:
        """One line; a part may be (text, style). Nothing in it is taken for markup."""
        self.out.print(Text.assemble(*parts), soft_wrap=True)

    def note(self, text: str) -> None:
        """One line beside the output."""
        self.err.print(Text(text, style="dim"), soft_wrap=True)

    def show(self, what: RenderableType) -> None:
        self.out.print(what)

    def show_json(self, what: Message | Iterable[Message]) -> None:
        """Messages as the REST API shows them."""
        from google.protobuf.message import Message

        from swiftlet import to_dict

        data = to_dict(what) if isinstance(what, Message) else [to_dict(item) for item in what]
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))

    def show_json_line(self, what: Message) -> None:
        """One message of a stream, on one line."""
        from swiftlet import to_dict

        click.echo(json.dumps(to_dict(what), ensure_ascii=False))

    def show_error(self, error: SwiftletError) -> None:
        self.err.print(Text.assemble(("Error: ", "bold red"), plain(error.message)), soft_wrap=True)
        for field in getattr(error, "fields", ()):
            if field.description not in error.message:
                self.err.print(Text(f"  {field.field}: {plain(field.description)}"), soft_wrap=True)


def console(file: Any) -> Console:
    """A terminal in which text from elsewhere is only text; no colours where there is no terminal."""
    width = None if file.isatty() else PIPE_WIDTH
    return Console(file=file, width=width, markup=False, highlight=False, emoji=False)


def plain(text: str) -> str:
    """Text without what would steer a terminal: jobs and servers can print anything."""
    return "".join(char if char.isprintable() or char == "\t" else " " for char in text)


def exit_code(error: SwiftletError) -> int:
    """The exit code for an error, as `swiftlet --help` lists them."""
    import swiftlet

    codes: tuple[tuple[type[SwiftletError], int], ...] = (
        (swiftlet.InvalidArgument, USAGE),
        (swiftlet.Unavailable, UNREACHABLE),
        (swiftlet.NotFound, NOT_FOUND),
        (swiftlet.WrongState, WRONG_STATE),
        (swiftlet.AlreadyExists, WRONG_STATE),
        (swiftlet.Conflict, WRONG_STATE),
        (swiftlet.DeadlineExceeded, TIMEOUT),
    )
    return next((code for kind, code in codes if isinstance(error, kind)), FAILED)


pass_app = click.make_pass_decorator(App)


def json_option(command: F) -> F:
    """`--json`, for scripts."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, as the REST API does.")(command)


def job_argument(*, many: bool = False) -> Callable[[F], F]:
    """The id of a job, completed by the shell."""
    return click.argument(
        "job_ids" if many else "job_id",
        metavar="ID..." if many else "ID",
        nargs=-1 if many else 1,
        required=True,
        shell_complete=_complete_job,
    )


def deployment_argument(command: F) -> F:
    """The id of a deployment, completed by the shell."""
    return click.argument("deployment_id", metavar="ID", shell_complete=_complete_deployment)(command)


def _complete_job(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return _complete(context, incomplete, lambda client: client.jobs(search=incomplete))


def _complete_deployment(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    return _complete(context, incomplete, lambda client: client.deployments())


def _complete(
    context: click.Context, incomplete: str, listed: Callable[[Client], Iterable[Any]]
) -> list[str]:
    """Ids that begin so; none where the suite doesn't answer at once."""
    from itertools import islice

    from swiftlet import Client, Retry, SwiftletError

    try:
        address = context.find_root().params.get("address")
        with Client(address, timeout=1.0, retry=Retry.off()) as client:
            found = [item.id for item in islice(listed(client), 50)]
    except (SwiftletError, ValueError):
        return []
    return [name for name in found if name.startswith(incomplete)]
