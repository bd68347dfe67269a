"""From checked parameters to the ms-swift command line: pure, nothing is looked up.

`swift X` is only a wrapper around `python -m swift.cli.X` that hides exit codes and takes signals
for itself, so the module is called directly. Each word of `argv` is one argument; no shell is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from swiftletd.training.domain.param_catalogue import swift_of
from swiftletd.training.domain.param_fields import Method
from swiftletd.training.domain.param_models import BaseTrainingParams, MLLMTrainingParams
from swiftletd.training.domain.param_rules import DEFAULT_QUANT_METHOD, OWN_RATE, rlhf_type_of
from swiftletd.training.domain.placeholders import CHECKPOINT, MASTER_PORT

__all__ = [
    "CHECKPOINT",
    "MASTER_PORT",
    "MERGEABLE",
    "Command",
    "Trainer",
    "TrainingTask",
    "export_command",
    "job_output_dir",
    "train_command",
]

MERGEABLE = frozenset({"lora", "longlora", "adalora", "llamapro"})
"""The train types whose adapters ms-swift merges into the model."""

_COMMON_ENV = {"PYTHONUNBUFFERED": "1", "TOKENIZERS_PARALLELISM": "false"}
# With more than one thread per process the steps of small models took up to 25 times as long.
_CPU_ENV = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """The trainer environment: the absolute path of its Python, and the ms-swift version found in it."""

    python: str
    version: str

    @property
    def tuner_flag(self) -> str:
        """ms-swift 4 renamed `--train_type`, and refuses the old name."""
        return "tuner_type" if int(self.version.split(".", 1)[0]) >= 4 else "train_type"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTask:
    """What is to be trained. Local paths are absolute: ms-swift takes a relative one for a hub id.

    `output_dir` belongs to this attempt alone. `many` names the `extra_args` whose flag takes several
    words. `keep_optimizer` overrides `save_only_model`, for a job that may be tried again from a
    checkpoint. `checkpoint_on_stop` makes SIGTERM write a checkpoint (ms-swift 4.6 or newer).
    """

    method: Method
    params: BaseTrainingParams
    model: str
    dataset: str
    output_dir: str
    many: frozenset[str] = frozenset()
    keep_optimizer: bool = False
    checkpoint_on_stop: bool = False
    resume_from: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """One process: its arguments, and what is added to its environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str]


def train_command(task: TrainingTask, trainer: Trainer, gpu_ids: tuple[str, ...] = ()) -> Command:
    """The training step on the given GPUs, one process each; without any, on the CPU."""
    module = f"swift.cli.{task.method}"
    argv = (*_launcher(trainer, module, len(gpu_ids)), *_fixed(task, on_cpu=not gpu_ids))
    words = (*argv, *_parameters(task, trainer), *_extra(task))
    return Command(words, {**_COMMON_ENV, **_device_env(gpu_ids), **_hub_env(task), **_media_env(task)})


def export_command(
    params: BaseTrainingParams,
    trainer: Trainer,
    gpu_ids: tuple[str, ...] = (),
    *,
    checkpoint: str = CHECKPOINT,
    output_dir: str = f"{CHECKPOINT}-merged",
) -> Command | None:
    """The step that merges the adapters into the model; None where the checkpoint itself is the export.

    That is so for train type full, whose checkpoint is a whole model already, and for adapters that
    ms-swift can't merge. `output_dir` must not exist: ms-swift ends with FileExistsError, and with
    `--exist_ok true` it would keep what is there, however broken, and still exit 0.
    """
    if params.train_type not in MERGEABLE:
        return None
    words = _flag("adapters", checkpoint), _flag("merge_lora", True), _flag("output_dir", output_dir)
    argv = (*_launcher(trainer, "swift.cli.export", 1), *(word for flag in words for word in flag))
    return Command(argv, {**_COMMON_ENV, **_device_env(gpu_ids)})


def job_output_dir(output_dir: str, job_id: str, attempt: int) -> str:
    """A directory of the attempt alone, so that nothing is appended to another one's files."""
    return f"{output_dir.rstrip('/')}/{job_id}" + (f".{attempt}" if attempt > 1 else "")


def _launcher(trainer: Trainer, module: str, processes: int) -> tuple[str, ...]:
    if processes < 2:
        return (trainer.python, "-m", module)
    torchrun = (trainer.python, "-m", "torch.distributed.run", "--nproc_per_node", str(processes))
    return (*torchrun, "--master_addr", "127.0.0.1", "--master_port", MASTER_PORT, "-m", module)


def _fixed(task: TrainingTask, *, on_cpu: bool) -> Iterator[str]:
    """What Swiftlet itself decides."""
    yield from _flag("model", task.model)
    yield from _flag("dataset", task.dataset)
    yield from _flag("output_dir", task.output_dir)
    yield from _flag("add_version", False)
    # The check asks a hub about the model at every start, and waits for it.
    yield from _flag("check_model", False)
    if on_cpu:
        yield from _flag("use_cpu", True)
    if task.params.torch_dtype == "float32":
        # ms-swift would train it in mixed fp16, which a CPU can't, and which is not what was asked for.
        yield from _flag("fp16", False)
        yield from _flag("bf16", False)
    if task.checkpoint_on_stop:
        yield from _flag("enable_jit_checkpoint", True)


def _parameters(task: TrainingTask, trainer: Trainer) -> Iterator[str]:
    model = type(task.params)
    for name, value in _settled(task).items():
        for flag in swift_of(model, name).flags:
            if value is not None:
                yield from _flag(trainer.tuner_flag if flag == "tuner_type" else flag, value)


def _settled(task: TrainingTask) -> dict[str, object]:
    """The values by field name, as this task needs them; None is left to ms-swift."""
    params = task.params
    values = {name: getattr(params, name) for name in type(params).model_fields if name != "extra_args"}
    if isinstance(params, MLLMTrainingParams):
        values.update({rate: None for rate, freeze in OWN_RATE.items() if getattr(params, freeze)})
    if params.quant_bits:
        values["quant_method"] = params.quant_method or DEFAULT_QUANT_METHOD
    if params.train_type == "full":
        values.update(lora_rank=None, lora_alpha=None)
    if task.keep_optimizer:
        values["save_only_model"] = False
    if task.resume_from:
        values["resume_from_checkpoint"] = task.resume_from
    values["rlhf_type"] = rlhf_type_of(params, task.method)
    return values


def _extra(task: TrainingTask) -> Iterator[str]:
    for name, value in (task.params.extra_args or {}).items():
        yield from _flag(name, tuple(value.split()) if name in task.many else value)


def _flag(name: str, value: object) -> tuple[str, ...]:
    """`--name value ...`; a value that begins with a dash is tied to its flag."""
    words = [_word(item) for item in value] if isinstance(value, tuple) else [_word(value)]
    if len(words) == 1 and words[0].startswith("-"):
        return (f"--{name}={words[0]}",)
    return (f"--{name}", *words)


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _device_env(gpu_ids: tuple[str, ...]) -> dict[str, str]:
    if not gpu_ids:
        return dict(_CPU_ENV)
    # The order of nvidia-smi and NVML, in which the ids were given out.
    return {"CUDA_VISIBLE_DEVICES": ",".join(gpu_ids), "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def _media_env(task: TrainingTask) -> dict[str, str]:
    """Pictures that rows name by relative paths are looked for beside the data set."""
    path = PurePosixPath(task.dataset.rpartition("#")[0] or task.dataset)
    if not path.is_absolute():
        return {}
    return {"ROOT_IMAGE_DIR": str(path.parent if path.suffix else path)}


def _hub_env(task: TrainingTask) -> dict[str, str]:
    """Where all is local no hub is asked, so that a machine without a network does not wait for one."""
    needed = (task.model, task.dataset, *(task.params.val_dataset or ()), task.params.ref_model)
    return {"HF_HUB_OFFLINE": "1"} if all(path.startswith("/") for path in needed if path) else {}
