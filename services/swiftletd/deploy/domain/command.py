"""The `swift deploy` command line of a model server: pure, nothing is looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

PORT = "{port}"
"""Replaced by the runner with the port that was leased for this server."""


class Backend(StrEnum):
    """What computes the answers."""

    TRANSFORMERS = "transformers"
    VLLM = "vllm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One model server. Exactly one of `model` (a whole model) and `adapter` (a LoRA checkpoint) is set.

    Lengths are in tokens; `gpu_memory_utilization` (0..1] and `max_model_len` are for vllm.
    """

    served_model_name: str
    model: str = ""
    adapter: str = ""
    backend: Backend = Backend.TRANSFORMERS
    max_new_tokens: int = 2048
    max_model_len: int | None = None
    gpu_memory_utilization: float | None = None
    model_type: str = ""
    template: str = ""

    def __post_init__(self) -> None:
        if bool(self.model) == bool(self.adapter):
            raise ValueError("a server needs either a model or an adapter")


@dataclass(frozen=True, slots=True)
class Command:
    """One process: its arguments, and what is added to its environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def deploy_command(server: Server, python: str, swift_version: str, gpu_ids: tuple[str, ...] = ()) -> Command:
    """The server on the given GPUs (none: on the CPU), reachable from this machine only.

    A busy port is silently replaced by the next free one: the caller must compare the port in
    "Uvicorn running on http://127.0.0.1:PORT" with the one that it asked for.
    """
    flags = {**_common(server, swift_version), **_vllm(server, swift_version, len(gpu_ids))}
    words = (word for name, value in flags.items() for word in _flag(name, value))
    return Command((python, "-m", "swift.cli.deploy", *words), _env(server, gpu_ids))


def _common(server: Server, swift_version: str) -> dict[str, str]:
    # Before 4 the plain backend was called pt; 4 still takes that, later ones may not.
    plain = "transformers" if _at_least(swift_version, 4) else "pt"
    flags = {
        "host": "127.0.0.1",
        "port": PORT,
        "model": server.model,
        "adapters": server.adapter,
        "model_type": server.model_type,
        "template": server.template,
        "served_model_name": server.served_model_name,
        "infer_backend": plain if server.backend is Backend.TRANSFORMERS else server.backend.value,
        "max_new_tokens": str(server.max_new_tokens),
        # Otherwise each request is printed with its text.
        "verbose": "false",
        "log_interval": "-1",
    }
    return {name: value for name, value in flags.items() if value}


def _vllm(server: Server, swift_version: str, gpus: int) -> dict[str, str]:
    if server.backend is not Backend.VLLM:
        return {}
    prefix = "vllm_" if _at_least(swift_version, 3, 7) else ""
    values = {
        "gpu_memory_utilization": server.gpu_memory_utilization,
        "max_model_len": server.max_model_len,
        "tensor_parallel_size": gpus if gpus > 1 else None,
    }
    return {f"{prefix}{name}": str(value) for name, value in values.items() if value is not None}


def _at_least(version: str, *wanted: int) -> bool:
    return tuple(int(part) for part in version.split(".")[: len(wanted)]) >= wanted


def _flag(name: str, value: str) -> Iterator[str]:
    """`--name value`; a value that begins with a dash is tied to its flag."""
    if value.startswith("-"):
        yield f"--{name}={value}"
    else:
        yield from (f"--{name}", value)


def _env(server: Server, gpu_ids: tuple[str, ...]) -> dict[str, str]:
    env = {
        "PYTHONUNBUFFERED": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "CUDA_VISIBLE_DEVICES": ",".join(gpu_ids),
    }
    if gpu_ids:
        # The order of nvidia-smi and NVML, in which the ids were given out.
        env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"
    else:
        env["OMP_NUM_THREADS"] = "1"
    if (server.model or server.adapter).startswith("/"):
        # Nothing has to be asked of a hub, so a machine without a network does not wait for one.
        env["HF_HUB_OFFLINE"] = "1"
    return env
