"""Commands about training jobs that exist."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from swiftlet.cli import render
from swiftlet.cli.app import App, job_argument, json_option, pass_app, plain
from swiftlet.cli.logs import Choice, log_options, print_lines

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from swiftlet import Job
    from swiftlet.training.v1.job_pb2 import Attempt, TrainingJob

LEVELS = ("info", "warning", "error")
STATUSES = ("pending", "queued", "running", "completed", "failed", "cancelled")


@click.command("jobs")
@click.option("-s", "--status", type=click.Choice(STATUSES, case_sensitive=False), help="Only these.")
@click.option("-t", "--type", "trainer_type", type=click.Choice(["llm", "mllm"]), help="Only these.")
@click.option("--search", default="", metavar="TEXT", help="Only with this in the id or the model.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@json_option
@pass_app
def jobs(
    app: App, status: str | None, trainer_type: str | None, search: str, limit: int, as_json: bool
) -> None:
    """List jobs, newest first."""
    found = app.client.jobs(
        status=status, trainer_type=trainer_type, search=search, page_size=min(limit, 100)
    )
    listed = list(islice(found, limit))
    if as_json:
        app.show_json(job.info for job in listed)
    elif listed:
        app.show(_jobs_table(listed))
    else:
        app.note("No jobs. Make one with `swiftlet train`.")


def _jobs_table(listed: list[Job]) -> Table:
    columns = ("id", "status", "progress", "loss", "model", "gpus", "created", "took")
    return render.table(columns, (_job_row(job) for job in listed), right=("progress", "loss"))


def _job_row(job: Job) -> list[str | Text]:
    info = job.info
    return [
        info.id,
        render.status(job.status),
        f"{info.progress:.0f} %" if info.progress else "",
        render.number(info.final_loss) if info.final_loss else "",
        info.model_path,
        info.gpu_id,
        render.moment(info.created_at),
        render.duration(info.training_time) if info.training_time else "",
    ]


@click.command("job")
@job_argument()
@json_option
@pass_app
def job(app: App, job_id: str, as_json: bool) -> None:
    """Show all about one job."""
    found = app.client.job(job_id)
    if as_json:
        app.show_json(found.info)
        return
    app.show(render.fields(_job_fields(found)))
    if len(found.info.attempts) > 1:
        app.show(_attempts(found.info))


def _job_fields(job: Job) -> list[tuple[str, str | Text]]:
    info = job.info
    took = f"{render.duration(info.training_time)}, loss {render.number(info.final_loss)}"
    return [
        ("id", info.id),
        ("status", render.status(job.status)),
        ("error", info.error_message),
        ("progress", f"{info.progress:.2f} %"),
        ("in the queue", f"place {info.queue_position}" if info.queue_position else ""),
        ("model", info.model_path),
        ("data", info.data_path),
        ("results", info.output_dir),
        ("checkpoint", info.checkpoint_path),
        ("exported", info.export_path),
        ("export error", info.export_error),
        ("priority", str(info.priority)),
        ("project", info.project),
        ("gpus", info.gpu_id),
        ("created", render.moment(info.created_at)),
        ("started", render.moment(info.started_at)),
        ("ended", render.moment(info.completed_at)),
        ("training", took if info.training_time else ""),
        ("log file", info.log_file_path),
    ]


def _attempts(info: TrainingJob) -> Table:
    def row(attempt: Attempt) -> list[str | Text]:
        times = (render.moment(attempt.started_at), render.moment(attempt.ended_at))
        number, state, step = str(attempt.number), render.status(attempt.state), str(attempt.step or "")
        return [number, state, *times, attempt.gpu_id, step, attempt.reason]

    columns = ("attempt", "state", "started", "ended", "gpus", "step", "why it ended")
    return render.table(columns, (row(attempt) for attempt in info.attempts))


@click.command("logs")
@job_argument()
@log_options
@click.option("-l", "--level", type=click.Choice(LEVELS, case_sensitive=False), help="Only lines of it.")
@pass_app
def logs(app: App, /, job_id: str, as_json: bool, **choice: Any) -> None:
    """Print a job's log."""
    print_lines(app, Choice(**choice).lines(app.client.job(job_id)), as_json=as_json)


@click.command("events")
@job_argument()
@click.option("-f", "--follow", is_flag=True, help="Go on with each new one until the job has ended.")
@click.option(
    "-n", "--limit", type=click.IntRange(1, 500), default=50, show_default=True, help="The last so many."
)
@json_option
@pass_app
def events(app: App, job_id: str, follow: bool, limit: int, as_json: bool) -> None:
    """Tell what happened to a job."""
    for event in app.client.job(job_id).events(follow=follow, limit=limit):
        if as_json:
            app.show_json_line(event)
        else:
            app.say(
                (f"{render.moment(event.timestamp)} ", "dim"),
                (f"{event.type:<28} ", "cyan"),
                plain(event.message),
            )


@click.command("start")
@job_argument(many=True)
@pass_app
def start(app: App, job_ids: tuple[str, ...]) -> None:
    """Start jobs that wait for it."""
    for job_id in job_ids:
        _report(app, app.client.job(job_id).start().message, job_id)


@click.command("stop")
@job_argument(many=True)
@pass_app
def stop(app: App, job_ids: tuple[str, ...]) -> None:
    """Stop jobs; their GPUs are free for the next."""
    for job_id in job_ids:
        _report(app, app.client.job(job_id).stop().message, job_id)


@click.command("export")
@job_argument()
@pass_app
def export(app: App, job_id: str) -> None:
    """Export the model of a completed job again."""
    _report(app, app.client.job(job_id).export().message, job_id)


@click.command("delete")
@click.argument("job_ids", metavar="ID...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All jobs; asks first.")
@click.option("-y", "--yes", is_flag=True, help="Don't ask.")
@pass_app
def delete(app: App, job_ids: tuple[str, ...], everything: bool, yes: bool) -> None:
    """Delete jobs with their logs. What they trained stays."""
    if everything == bool(job_ids):
        raise click.UsageError("Name jobs, or give --all.")
    if everything:
        if not yes:
            click.confirm("Delete all jobs with their logs?", abort=True)
        app.say(app.client.delete_jobs().message)
    for job_id in job_ids:
        app.client.job(job_id).delete()
        app.say(f"{job_id} is deleted.")


def _report(app: App, message: str, job_id: str) -> None:
    app.say(plain(message) if job_id in message else f"{job_id}: {plain(message)}")


COMMANDS = (jobs, job, logs, events, start, stop, export, delete)
