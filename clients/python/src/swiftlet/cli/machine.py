"""Commands about the machine: its GPUs and the health of the suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from swiftlet.cli import render
from swiftlet.cli.app import FAILED, App, json_option, pass_app, plain
from swiftlet.cli.live import follow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table
    from rich.text import Text

    from swiftlet.gpu.v1.gpu_pb2 import Gpu


@click.command("gpus")
@click.option("-w", "--watch", is_flag=True, help="Show each change as it comes.")
@json_option
@pass_app
def gpus(app: App, watch: bool, as_json: bool) -> None:
    """Show the GPUs and who holds them."""
    if watch and as_json:
        for listed in app.client.watch_gpus():
            for gpu in listed:
                app.show_json_line(gpu)
    elif watch:
        follow(app, (_gpus_table(listed) for listed in app.client.watch_gpus()))
    elif as_json:
        app.show_json(app.client.gpus())
    else:
        app.show(_gpus_table(app.client.gpus()))


def _gpus_table(listed: Sequence[Gpu]) -> Table:
    columns = ("gpu", "name", "status", "memory GiB", "load", "temp", "power", "holder", "next")
    return render.table(
        columns, (_gpu_row(gpu) for gpu in listed), right=("memory GiB", "load", "temp", "power")
    )


def _gpu_row(gpu: Gpu) -> list[str | Text]:
    from swiftlet._shared.words import word
    from swiftlet.gpu.v1.gpu_pb2 import GpuStatus

    return [
        str(gpu.id),
        gpu.name,
        render.status(word(GpuStatus.DESCRIPTOR, gpu.status)),
        f"{render.gib(gpu.memory_used)} / {render.gib(gpu.memory_total)}",
        f"{gpu.utilization} %",
        f"{gpu.temperature} °C" if gpu.temperature else "",
        f"{gpu.power:.0f} W" if gpu.power else "",
        gpu.holder or gpu.job_id,
        gpu.next_job_id,
    ]


@click.command("health")
@json_option
@pass_app
def health(app: App, as_json: bool) -> None:
    """Tell whether all parts of the suite answer.

    The exit code is 1 if one doesn't.
    """
    from swiftlet._shared.words import word
    from swiftlet.training.v1.training_service_pb2 import HealthStatus

    found = app.client.health()
    state = word(HealthStatus.DESCRIPTOR, found.status)
    if as_json:
        app.show_json(found)
    else:
        parts = [(name, render.status(plain(said))) for name, said in sorted(found.services.items())]
        about = [("version", found.version), ("gpus", str(found.gpu_count))]
        app.show(render.fields([("suite", render.status(state)), *parts, *about]))
    if state != "healthy":
        raise click.exceptions.Exit(FAILED)


@click.command("system")
@json_option
@pass_app
def system(app: App, as_json: bool) -> None:
    """Show memory and load of the machine."""
    found = app.client.system()
    if as_json:
        app.show_json(found)
        return
    memory, cpu, gpu = found.system.memory, found.system.cpu, found.gpu
    used = f"{render.size(memory.used)} of {render.size(memory.total)} ({memory.percent:.0f} %)"
    gpu_used = f"{render.gib(gpu.used_memory)} of {render.gib(gpu.total_memory)} GiB"
    app.show(
        render.fields(
            [
                ("memory", used),
                ("processors", f"{cpu.count}, {cpu.usage_percent:.0f} % busy"),
                ("gpus", f"{gpu.count}, {gpu_used} used" if gpu.count else "none"),
            ]
        )
    )


COMMANDS = (gpus, health, system)
