"""Commands that make a training job, and that say what it can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from swiftlet.cli import render
from swiftlet.cli.app import App, json_option, pass_app, plain
from swiftlet.cli.watch import watch_job

if TYPE_CHECKING:
    from swiftlet import Job
    from swiftlet.training.v1.params_pb2 import ParamInfo


@click.command("train")
@click.argument("model")
@click.argument("data")
@click.argument("output_dir")
@click.option(
    "-t",
    "--type",
    "task",
    type=click.Choice(["llm", "mllm"]),
    default="llm",
    show_default=True,
    help="Kind of model.",
)
@click.option(
    "--method",
    type=click.Choice(["sft", "pt", "rlhf"]),
    default="sft",
    show_default=True,
    help="How to train.",
)
@click.option(
    "-o",
    "--option",
    "params",
    multiple=True,
    metavar="NAME=VALUE",
    help="A training parameter: see `swiftlet params`.",
)
@click.option(
    "-x",
    "--extra",
    "extra",
    multiple=True,
    metavar="NAME=VALUE",
    help="A flag of ms-swift that isn't a parameter.",
)
@click.option("-p", "--priority", type=click.IntRange(0, 10), help="0 to 10, larger is more urgent.")
@click.option("-g", "--gpus", type=click.IntRange(min=1), help="How many GPUs [1].")
@click.option("--gpu-memory-gib", type=click.FloatRange(min=0), help="Share a GPU: so many GiB of it.")
@click.option("--gpu-name", help="Only on GPUs with this in their name.")
@click.option("--project", help="Project that it is counted for.")
@click.option("--max-retries", type=click.IntRange(0, 10), help="Further attempts if one is lost.")
@click.option("--time-limit", type=click.FloatRange(min=0), metavar="SECONDS", help="End it after so long.")
@click.option("--earliest-start", metavar="TIME", help="RFC 3339 time before which it must not start.")
@click.option("--job-id", help="Id for the job.")
@click.option("--no-start", is_flag=True, help="Wait for `swiftlet start`.")
@click.option("-w", "--watch", is_flag=True, help="Stay and show how it goes.")
@click.option("-q", "--quiet", is_flag=True, help="Print the id only.")
@json_option
@pass_app
def train(
    app: App,
    /,
    model: str,
    data: str,
    output_dir: str,
    task: str,
    method: str,
    params: tuple[str, ...],
    extra: tuple[str, ...],
    no_start: bool,
    watch: bool,
    quiet: bool,
    as_json: bool,
    **work: Any,
) -> None:
    """Fine-tune MODEL on DATA; the results go to OUTPUT_DIR.

    MODEL and DATA are local paths or hub ids; "data#500" takes the first 500 rows.

    \b
    swiftlet train Qwen/Qwen3-0.6B train.jsonl output -o num_epochs=3 -o lora_rank=32 --watch
    """
    options = {
        **_parameters(params, extra),
        **{name: value for name, value in work.items() if value is not None},
    }
    if no_start:
        options["auto_start"] = False
    job = app.client.train(model, data, output_dir, task=task, method=method, **options)
    _tell(app, job, quiet=quiet, as_json=as_json, hint=not watch)
    if watch:
        watch_job(app, job)


def _parameters(params: tuple[str, ...], extra: tuple[str, ...]) -> dict[str, Any]:
    """Training parameters from `-o` and `-x`; raises InvalidArgument."""
    from swiftlet._shared.fields import parse_param

    options = dict(parse_param(text) for text in params)
    if extra:
        pairs = (text.partition("=") for text in extra)
        options["extra_args"] = {name.lstrip("-"): value for name, _, value in pairs}
    return options


def _tell(app: App, job: Job, *, quiet: bool, as_json: bool, hint: bool) -> None:
    created = job.created
    if created is None:
        raise AssertionError("a job that was just made has its answer")
    if as_json:
        app.show_json(created)
    elif quiet:
        app.say(job.id)
    else:
        app.say((job.id, "bold"), " ", render.coloured(job.status), f"  {plain(created.message)}")
        if hint:
            app.note(f"Watch it with `swiftlet watch {job.id}`.")


@click.command("params")
@click.argument("trainer_type", type=click.Choice(["llm", "mllm"]), default="llm")
@json_option
@pass_app
def params(app: App, trainer_type: str, as_json: bool) -> None:
    """List the training parameters: defaults, ranges, meaning."""
    compared = app.client.params()
    own = compared.llm_only_params if trainer_type == "llm" else compared.mllm_only_params
    listed = [*compared.common_params, *own]
    if as_json:
        app.show_json(listed)
    else:
        columns = ("parameter", "default", "range", "meaning")
        app.show(
            render.table(columns, ([one.name, _default(one), one.range, one.description] for one in listed))
        )


def _default(param: ParamInfo) -> str:
    from google.protobuf.json_format import MessageToDict

    value = MessageToDict(param).get("default")
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float | int) else str(value or "")


COMMANDS = (train, params)
