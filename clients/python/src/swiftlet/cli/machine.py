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

    from swiftlet.gpu.v1.gpu_pb2 import Gpu, GpuHolder
    from swiftlet.training.v1.training_service_pb2 import DiskStatus, Health, OutputsStatus


@click.command("gpus")
@click.option("-w", "--watch", is_flag=True, help="Show each change as it comes.")
@json_option
@pass_app
def gpus(app: App, watch: bool, as_json: bool) -> None:
    """Show the GPUs: who holds them, until about when, and what is next."""
    if watch and as_json:
        for listed in app.client.watch_gpus():
            for gpu in listed:
                app.show_json_line(gpu)
    elif watch:
        follow(app, (_gpus_table(listed, app.out.width) for listed in app.client.watch_gpus()))
    elif as_json:
        app.show_json(app.client.gpus())
    else:
        app.show(_gpus_table(app.client.gpus(), app.out.width))


def _gpus_table(listed: Sequence[Gpu], width: int) -> Table:
    """What does not fit into `width` is left out: the power before the name, and never who holds it."""
    many = len({gpu.machine for gpu in listed}) > 1
    shown = [name for name, least in COLUMNS.items() if width >= least]
    rows = [_gpu_cells(gpu, f"{gpu.machine}/{gpu.id}" if many else str(gpu.id)) for gpu in listed]
    return render.table(shown, ([cells[name] for name in shown] for cells in rows), right=RIGHT)


# Each column, and the width of the terminal from which on it is shown.
COLUMNS = {
    "gpu": 0,
    "name": 140,
    "status": 0,
    "memory GiB": 0,
    "load": 95,
    "temp": 170,
    "power": 170,
    "held by": 0,
    "since": 150,
    "until about": 0,
    "judged by": 110,
    "next": 0,
}
RIGHT = ("memory GiB", "load", "temp", "power")


def _gpu_cells(gpu: Gpu, name: str) -> dict[str, str | Text]:
    from swiftlet._shared.words import word
    from swiftlet.gpu.v1.gpu_pb2 import GpuStatus

    when = f" ~{render.about(gpu.next_start)}" if gpu.next_start else ""
    return {
        "gpu": f"{name} slice" if gpu.parent_uuid else name,
        "name": gpu.name,
        "status": render.status(word(GpuStatus.DESCRIPTOR, gpu.status)),
        "memory GiB": f"{render.gib(gpu.memory_used)} / {render.gib(gpu.memory_total)}",
        "load": f"{gpu.utilization} %",
        "temp": f"{gpu.temperature} °C" if gpu.temperature else "",
        "power": f"{gpu.power:.0f} W" if gpu.power else "",
        "held by": render.lines(_held_by(holder) for holder in gpu.holders) or gpu.holder or gpu.job_id,
        "since": render.lines(render.moment(holder.since) for holder in gpu.holders),
        "until about": render.lines(_until(holder) for holder in gpu.holders),
        "judged by": render.lines(render.basis(holder.until_basis) for holder in gpu.holders),
        "next": f"{gpu.next_job_id}{when}" if gpu.next_job_id else "",
    }


def _held_by(holder: GpuHolder) -> str:
    return f"{holder.job_id} ({render.gib(holder.memory)} GiB)" if holder.memory else holder.job_id


def _until(holder: GpuHolder) -> str:
    return render.about(holder.until) if holder.until else "no end known"


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
        app.show(render.fields([("suite", render.status(state)), *parts, *about, *_disks(found)]))
    if state != "healthy":
        raise click.exceptions.Exit(FAILED)


def _disks(found: Health) -> list[tuple[str, str | Text]]:
    disks = [
        (f"disk {disk.path}", _fullness(disk.used_bytes, disk.total_bytes, disk)) for disk in found.disks
    ]
    outputs = found.outputs
    if outputs.limit_bytes:
        return [*disks, ("results", _fullness(outputs.used_bytes, outputs.limit_bytes, outputs))]
    return [*disks, ("results", render.size(outputs.used_bytes))]


def _fullness(used: float, total: float, of: DiskStatus | OutputsStatus) -> str | Text:
    coming = f", {render.size(of.promised_bytes)} to come" if of.promised_bytes else ""
    text = f"{render.size(used)} of {render.size(total)} ({used / max(1.0, total):.0%}){coming}"
    return render.warning(f"{text}, nearly full") if of.high else text


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
    driver = f"{gpu.driver_version}, CUDA {gpu.cuda_version}" if gpu.driver_version else ""
    gpu_used = f"{render.gib(gpu.used_memory)} of {render.gib(gpu.total_memory)} GiB"
    app.show(
        render.fields(
            [
                ("memory", used),
                ("processors", f"{cpu.count}, {cpu.usage_percent:.0f} % busy"),
                ("gpus", f"{gpu.count}, {gpu_used} used" if gpu.count else "none"),
                ("driver", gpu.driver_problem or driver),
            ]
        )
    )


COMMANDS = (gpus, health, system)
