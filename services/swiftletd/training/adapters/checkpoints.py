"""Checkpoints on the disk: is one whole, and can a training go on from it?"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

# What the trainer, DeepSpeed and FSDP write besides the weights.
_OPTIMIZER = ("optimizer.pt", "optimizer.bin", "optimizer_0", "global_step*")
_MOST_HEADER = 100_000_000  # bytes, as safetensors itself allows


def has_optimizer(path: Path) -> bool:
    """Whether the state of the optimizer was saved too; without it the schedule would start over."""
    return any(next(path.glob(name), None) for name in _OPTIMIZER)


def is_whole(path: Path) -> bool:
    """Whether a training can go on from it as if nothing had happened.

    The trainer writes trainer_state.json last. What a power loss cut short is found by its length.
    """
    try:
        json.loads((path / "trainer_state.json").read_bytes())
        return has_optimizer(path) and all(_complete(file) for file in path.iterdir())
    except (OSError, ValueError):
        return False


def last_whole(output_dir: Path) -> str:
    """The whole checkpoint with the most steps; "" if there is none."""
    found = sorted(output_dir.glob("checkpoint-*"), key=_step_number, reverse=True)
    return next((str(checkpoint) for checkpoint in found if is_whole(checkpoint)), "")


def _complete(file: Path) -> bool:
    if file.suffix == ".safetensors":
        return _all_tensors(file)
    return file.suffix not in (".pt", ".pth") or zipfile.is_zipfile(file)


def _all_tensors(file: Path) -> bool:
    """Whether the file is as long as its header says."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        if not 0 < length <= _MOST_HEADER:
            return False
        header = json.loads(opened.read(length))
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    return file.stat().st_size >= 8 + length + max(ends, default=0)


def _step_number(path: Path) -> int:
    number = path.name.rpartition("-")[2]
    return int(number) if number.isdecimal() else -1
