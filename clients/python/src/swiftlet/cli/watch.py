"""`swiftlet watch`: a job from the queue to its export, on one screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from swiftlet.cli import render
from swiftlet.cli.app import FAILED, INTERRUPTED, App, job_argument, json_option, pass_app, plain
from swiftlet.cli.queue import starts

if TYPE_CHECKING:
    from collections.abc import Callable

    from swiftlet import Job
    from swiftlet.gpu.v1.queue_pb2 import QueueItem
    from swiftlet.training.v1.job_pb2 import Progress


@click.command("watch")
@job_argument()
@json_option
@pass_app
def watch(app: App, job_id: str, as_json: bool) -> None:
    """Show how far a job is, live, until it has ended. Ctrl-C leaves it running."""
    job = app.client.job(job_id)
    if as_json:
        for progress in job.watch():
            app.show_json_line(progress)
    else:
        watch_job(app, job)


def watch_job(app: App, job: Job) -> None:
    """Watch a job to its end; leaves with 1 if it failed, and with 130 on Ctrl-C."""
    try:
        if app.out.is_terminal:
            with Live(console=app.out, refresh_per_second=8, transient=True) as live:
                _follow(app, job, lambda view, line: live.update(view))
        else:
            _follow(app, job, lambda view, line: app.say(line))
    except KeyboardInterrupt:
        app.note(
            f"{job.id} goes on. `swiftlet watch {job.id}` shows it again, `swiftlet stop {job.id}` ends it."
        )
        raise click.exceptions.Exit(INTERRUPTED) from None
    _tell_end(app, job)


def _follow(app: App, job: Job, show: Callable[[RenderableType, str], None]) -> None:
    for progress in job.watch():
        if progress.phase == "waiting":
            _follow_queue(app, job, show)
        elif progress.phase != "ended":
            show(progress_view(job.id, progress), progress_line(job.id, progress))
    job.wait(check=False)


def _follow_queue(app: App, job: Job, show: Callable[[RenderableType, str], None]) -> None:
    """Show its place in the queue until it leaves it, one way or the other."""
    for listed in app.client.watch_queue():
        item = listed.find(job.id)
        if item is None:
            return
        line = waiting_line(item)
        show(Spinner("dots", Text(line)), line)


def waiting_line(item: QueueItem) -> str:
    """ "job-1 waits at place 2: needs 1 GPU, none is free. Starts 10:04 to 10:20"."""
    why = "held" if item.held else plain(item.reason).rstrip(".") or "no GPU is free"
    return f"{item.job_id} waits at place {item.queue_position}: {why}. Starts {starts(item)}"


def progress_line(job_id: str, progress: Progress) -> str:
    """All of it on one line, for a pipe."""
    parts = [f"{job_id} {progress.phase}", f"{progress.progress:.0f} %", *_measures(progress)]
    return "  ".join(parts)


def progress_view(job_id: str, progress: Progress) -> RenderableType:
    """A bar, and below it what was measured."""
    if progress.phase == "loading" and not progress.step:
        return Spinner("dots", Text(f"{job_id} loads the model and the data"))
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        Text(job_id, style="bold"),
        ProgressBar(total=100, completed=progress.progress, width=32),
        Text(f"{progress.progress:5.1f} %"),
        Text(progress.phase, style="cyan"),
    )
    return Group(bar, Text("  ".join(_measures(progress)), style="dim"))


def _measures(progress: Progress) -> list[str]:
    left = progress.estimated_time_remaining
    speed = progress.seconds_per_step
    return [
        text
        for text, there in (
            (f"step {progress.step}/{progress.total_steps}", progress.total_steps),
            (f"loss {render.number(progress.loss)}", progress.loss),
            (f"eval loss {render.number(progress.eval_loss)}", progress.eval_loss),
            (f"lr {progress.learning_rate:.2g}", progress.learning_rate),
            (f"{render.number(speed)} s/step", speed),
            (f"{progress.gpu_memory:.1f} GiB", progress.gpu_memory),
            (f"{render.duration(left)} left", left),
        )
        if there
    ]


def _tell_end(app: App, job: Job) -> None:
    info = job.info
    if job.status == "completed":
        took = f" in {render.duration(info.training_time)}" if info.training_time else ""
        loss = f", loss {render.number(info.final_loss)}" if info.final_loss else ""
        app.say((job.id, "bold"), " ", render.coloured(job.status), f"{took}{loss}")
        for name, path in (
            ("model", info.export_path or info.checkpoint_path),
            ("export failed", info.export_error),
        ):
            if path:
                app.say((f"{name}: ", "dim"), plain(path))
        return
    app.say((job.id, "bold"), " ", render.coloured(job.status), f"  {plain(info.error_message)}")
    raise click.exceptions.Exit(FAILED)


COMMANDS = (watch,)
