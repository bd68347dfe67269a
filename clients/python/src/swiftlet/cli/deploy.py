"""Commands about deployments: serve a model, and ask it."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from swiftlet.cli import render
from swiftlet.cli.app import FAILED, INTERRUPTED, App, deployment_argument, json_option, pass_app, plain
from swiftlet.cli.logs import Choice, log_options, print_lines

if TYPE_CHECKING:
    from rich.text import Text

    from swiftlet import Deployment
    from swiftlet.chat import Message


@click.group("deploy")
def deploy() -> None:
    """Serve models under the OpenAI API."""


@deploy.command("create")
@click.argument("model")
@click.option("-t", "--type", "deploy_type", type=click.Choice(["llm", "mllm"]), help="Kind of model [llm].")
@click.option("--served-name", "served_model_name", help="Name for clients of the OpenAI API [the id].")
@click.option("--port", type=click.IntRange(1024, 65535), help="Port of its model server [a free one].")
@click.option("-p", "--priority", type=click.IntRange(0, 10), help="0 to 10, larger is more urgent.")
@click.option("-g", "--gpus", type=click.IntRange(min=1), help="How many GPUs [1].")
@click.option("--gpu-memory", metavar="SIZE", help='Share a GPU: "16GB" of it.')
@click.option("--job-id", help="Id for the deployment.")
@click.option("--no-start", is_flag=True, help="Wait for `swiftlet deploy start`.")
@click.option("-w", "--wait", is_flag=True, help="Stay until it answers.")
@json_option
@pass_app
def create(app: App, /, model: str, no_start: bool, wait: bool, as_json: bool, **options: Any) -> None:
    """Serve MODEL: the id of a training job, a directory or a hub id."""
    given = {name: value for name, value in options.items() if value is not None}
    made = app.client.deploy(model, auto_start=not no_start, **given)
    if wait:
        _wait(app, made)
    if as_json:
        app.show_json(made.info)
    else:
        _tell(app, made)


@deploy.command("ls")
@click.option("-s", "--status", help="Only these.")
@click.option(
    "-n", "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many."
)
@json_option
@pass_app
def list_(app: App, status: str | None, limit: int, as_json: bool) -> None:
    """List deployments, newest first."""
    listed = list(islice(app.client.deployments(status=status, page_size=min(limit, 100)), limit))
    if as_json:
        app.show_json(one.info for one in listed)
    elif listed:
        app.show(render.table(("id", "status", "model", "port", "gpus", "started"), map(_row, listed)))
    else:
        app.note("No deployments. Make one with `swiftlet deploy create`.")


def _row(one: Deployment) -> list[str | Text]:
    info = one.info
    port = str(info.deploy_port or "")
    return [
        one.id,
        render.status(one.status),
        info.model_path,
        port,
        info.gpu_id,
        render.moment(info.started_at),
    ]


@deploy.command("status")
@deployment_argument
@json_option
@pass_app
def status(app: App, deployment_id: str, as_json: bool) -> None:
    """Show all about one deployment."""
    one = app.client.deployment(deployment_id)
    info = one.info
    if as_json:
        app.show_json(info)
        return
    app.show(
        render.fields(
            [
                ("id", one.id),
                ("status", render.status(one.status)),
                ("error", info.error_message),
                ("in the queue", f"place {info.queue_position}" if info.queue_position else ""),
                ("model", info.model_path),
                ("served from", info.served_path),
                ("served as", info.served_model_name),
                ("OpenAI API", one.url),
                ("gpus", info.gpu_id),
                ("created", render.moment(info.created_at)),
                ("started", render.moment(info.started_at)),
                ("last answer", render.moment(info.last_seen_at)),
                ("log file", info.log_file_path),
            ]
        )
    )


@deploy.command("start")
@deployment_argument
@click.option("-w", "--wait", is_flag=True, help="Stay until it answers.")
@pass_app
def start(app: App, deployment_id: str, wait: bool) -> None:
    """Start a deployment."""
    one = app.client.deployment(deployment_id)
    said = one.start().message
    if wait:
        _wait(app, one)
        _tell(app, one)
    else:
        app.say(plain(said))


@deploy.command("stop")
@deployment_argument
@pass_app
def stop(app: App, deployment_id: str) -> None:
    """Stop a deployment; its port and GPUs are free again."""
    app.say(plain(app.client.deployment(deployment_id).stop().message))


@deploy.command("delete")
@click.argument("deployment_ids", metavar="ID...", nargs=-1, required=True)
@pass_app
def delete(app: App, deployment_ids: tuple[str, ...]) -> None:
    """Delete deployments with their logs; what serves is stopped."""
    for deployment_id in deployment_ids:
        app.client.deployment(deployment_id).delete()
        app.say(f"{deployment_id} is deleted.")


@deploy.command("logs")
@deployment_argument
@log_options
@pass_app
def logs(app: App, /, deployment_id: str, as_json: bool, **choice: Any) -> None:
    """Print the log of a model server."""
    print_lines(app, Choice(**choice).lines(app.client.deployment(deployment_id)), as_json=as_json)


def _wait(app: App, one: Deployment) -> None:
    try:
        with app.err.status(f"{one.id} starts its model server"):
            one.wait()
    except KeyboardInterrupt:
        app.note(
            f"{one.id} goes on: `swiftlet deploy status {one.id}` shows it, "
            f"`swiftlet deploy stop {one.id}` ends it."
        )
        raise click.exceptions.Exit(INTERRUPTED) from None


def _tell(app: App, one: Deployment) -> None:
    app.say((one.id, "bold"), " ", render.coloured(one.status), f"  {one.url}")
    app.note(f'Ask it with `swiftlet chat {one.id} "..."`.')


@click.command("chat")
@deployment_argument
@click.argument("question", required=False)
@click.option("--system", help="What the model is told first.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="Longest answer.")
@click.option("--temperature", type=click.FloatRange(0, 2), help="0 for the likeliest answer.")
@pass_app
def chat(app: App, /, deployment_id: str, question: str | None, system: str | None, **sampling: Any) -> None:
    """Ask a deployment.

    Without a QUESTION it is a conversation, until Ctrl-D.
    """
    one = app.client.deployment(deployment_id)
    if one.status != "running":
        app.note(f"{one.id} is {one.status}. Start it with `swiftlet deploy start {one.id} --wait`.")
        raise click.exceptions.Exit(FAILED)
    said: list[Message] = [{"role": "system", "content": system}] if system else []
    options = {name: value for name, value in sampling.items() if value is not None}
    if question:
        _ask(app, one, [*said, {"role": "user", "content": question}], options)
    else:
        _converse(app, one, said, options)


def _converse(app: App, one: Deployment, said: list[Message], options: dict[str, Any]) -> None:
    while True:
        try:
            question = app.out.input("> ")
        except (EOFError, KeyboardInterrupt):
            click.echo()
            return
        if question.strip():
            said.append({"role": "user", "content": question})
            said.append({"role": "assistant", "content": _ask(app, one, said, options)})


def _ask(app: App, one: Deployment, said: list[Message], options: dict[str, Any]) -> str:
    from swiftlet.chat import stream

    answer = ""
    for piece in stream(one.url, one.info.served_model_name or one.id, said, **options):
        answer += piece
        click.echo("".join(plain(char) if char != "\n" else char for char in piece), nl=False)
    click.echo()
    return answer


COMMANDS = (deploy, chat)
