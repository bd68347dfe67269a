"""Commands about the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Group
from rich.text import Text

from swiftlet.cli import render
from swiftlet.cli.app import App, job_argument, json_option, pass_app, plain
from swiftlet.cli.live import follow

if TYPE_CHECKING:
    from rich.console import RenderableType

    from swiftlet import Queue
    from swiftlet.gpu.v1.queue_pb2 import QueueItem


@click.group("queue", invoke_without_command=True)
@click.option("-w", "--watch", is_flag=True, help="Show each change as it comes.")
@json_option
@click.pass_context
def queue(context: click.Context, watch: bool, as_json: bool) -> None:
    """Show what waits for GPUs, or change it."""
    if context.invoked_subcommand:
        return
    app = context.ensure_object(App)
    if watch and as_json:
        for listed in app.client.watch_queue():
            for item in listed.items:
                app.show_json_line(item)
    elif watch:
        follow(app, (_view(listed, app.out.width) for listed in app.client.watch_queue()))
    elif as_json:
        app.show_json(app.client.queue().items)
    else:
        listed = app.client.queue()
        app.show(_view(listed, app.out.width))
        if listed.items:
            app.note("swiftlet queue show ID tells what would let one start earlier.")


def _view(listed: Queue, width: int) -> RenderableType:
    if not listed.items:
        return Text("Nothing waits.", style="dim")
    columns = [name for name, least in COLUMNS.items() if width >= least]
    rows = ([cells[name] for name in columns] for cells in map(_cells, listed.items))
    shown: list[RenderableType] = [render.table(columns, rows, right=RIGHT)]
    if listed.total > len(listed.items):
        shown.append(Text(f"and {listed.total - len(listed.items)} more", style="dim"))
    return Group(*shown)


# Each column, and the width of the terminal from which on it is shown.
COLUMNS = {"place": 0, "id": 0, "kind": 120, "priority": 90, "gpus": 90, "starts": 0, "why it waits": 0}
RIGHT = ("place", "priority", "gpus")


def _cells(item: QueueItem) -> dict[str, str | Text]:
    reason = Text(plain(item.reason), style="magenta" if item.held else "")
    return {
        "place": str(item.queue_position),
        "id": item.job_id,
        "kind": item.kind,
        "priority": str(item.priority),
        "gpus": str(item.gpus or 1),
        "starts": starts(item),
        "why it waits": reason,
    }


def starts(item: QueueItem) -> str:
    """When it starts: "10:04 to 10:20", or in the words of the suite."""
    if not item.predicted_start_p50:
        return item.estimated_wait_time or "unknown"
    likely, latest = render.about(item.predicted_start_p50), render.about(item.predicted_start_p90)
    if not latest:
        return f"{likely} or later"
    day, _, time = latest.rpartition(" ")
    return f"{likely} to {time if likely.startswith(day) else latest}" if latest != likely else likely


@queue.command("show")
@job_argument()
@json_option
@pass_app
def show(app: App, job_id: str, as_json: bool) -> None:
    """Show why a job waits, when it will start, and what would let it start earlier."""
    item = app.client.queue_item(job_id)
    if as_json:
        app.show_json(item)
        return
    app.show(render.fields(_fields(item)))
    for hint in item.hints:
        app.say((plain(hint.message), "cyan"))


def _fields(item: QueueItem) -> list[tuple[str, str | Text]]:
    length = f"about {render.duration(item.expected_duration)}, judged by {render.basis(item.duration_basis)}"
    return [
        ("id", item.job_id),
        ("place", str(item.queue_position)),
        ("why it waits", Text(plain(item.reason), style="magenta" if item.held else "")),
        ("starts", starts(item)),
        ("will run", length if item.expected_duration else "until it is stopped"),
        ("gpus", f"{item.gpus or 1}" + (f", likely {item.gpu_ids}" if item.gpu_ids else "")),
        ("priority", str(item.priority)),
        ("project", item.project),
        ("waits since", render.moment(item.created_at)),
    ]


@queue.command("move")
@job_argument()
@click.argument("priority", type=click.IntRange(0, 10))
@pass_app
def move(app: App, job_id: str, priority: int) -> None:
    """Give a waiting job another priority, 0 to 10."""
    app.say(plain(app.client.move(job_id, priority).message))


@queue.command("hold")
@job_argument()
@pass_app
def hold(app: App, job_id: str) -> None:
    """Hold a waiting job back; it keeps its place."""
    app.say(plain(app.client.hold(job_id).message))


@queue.command("release")
@job_argument()
@pass_app
def release(app: App, job_id: str) -> None:
    """Let a held job wait for its turn again."""
    app.say(plain(app.client.release(job_id).message))


@queue.command("remove")
@job_argument()
@pass_app
def remove(app: App, job_id: str) -> None:
    """Take a job out; it stays, pending, and can be started again."""
    app.say(plain(app.client.dequeue(job_id).message))


@queue.command("process")
@json_option
@pass_app
def process(app: App, as_json: bool) -> None:
    """Make one scheduling pass now."""
    done = app.client.process_queue()
    if as_json:
        app.show_json(done)
        return
    for line in (done.message, *done.result.details):
        app.say(plain(line))


@queue.command("pause")
@pass_app
def pause(app: App) -> None:
    """Grant no GPUs until `resume`. What runs goes on."""
    app.say(plain(app.client.stop_processor().message))


@queue.command("resume")
@pass_app
def resume(app: App) -> None:
    """Grant GPUs again."""
    app.say(plain(app.client.start_processor().message))


@queue.command("score")
@json_option
@pass_app
def score(app: App, as_json: bool) -> None:
    """Tell how often the predicted starts were kept."""
    found = app.client.prediction_score()
    if as_json:
        app.show_json(found)
    else:
        app.say(plain(found.message))


COMMANDS = (queue,)
