"""Is a directory a model that ms-swift can load?"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from swiftletd.training.adapters.preflight.files import MOST_JSON, Unreadable, read_object
from swiftletd.training.domain.model_identity import Clues
from swiftletd.training.domain.violations import Violation, in_file

TOKENIZERS = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt")
_INDEXES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
SMALL_JSON = 64 * 2**10
_LENGTH = 8
"""Bytes at the head of a safetensors file that give the length of its header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalModel:
    """What a model directory holds. `plain`: all of it lies directly inside, and its JSON is small."""

    clues: Clues
    weights_bytes: int
    faults: tuple[Violation, ...] = ()
    plain: bool = True


def read_model(path: Path, at: str) -> LocalModel:
    """Look at a model directory; `at` is the field that named it. Raises Unreadable, OSError."""
    if not path.is_dir():
        what = "is a file; a model is a directory" if path.exists() else "is not there"
        raise Unreadable(f"{what} with config.json and weights" if path.exists() else what, path)
    config, shards = _config(path), _shards(path)
    weights = sorted((*path.glob("*.safetensors"), *path.glob("*.bin"), *path.glob("*.pt")))
    faults = [*_missing(path, shards, at), *(in_file(at, text, str(file)) for file, text in _broken(weights))]
    if not any(file.suffix in {".safetensors", ".bin", ".pt"} and file.stat().st_size for file in weights):
        faults.append(in_file(at, "holds no weights (*.safetensors or *.bin)", str(path)))
    return LocalModel(
        clues=Clues(name=path.name, config=config, args=_optional(path / "args.json")),
        weights_bytes=sum(file.stat().st_size for file in weights),
        faults=tuple(faults),
        plain=not any("/" in name for names in shards.values() for name in names) and _is_small(path),
    )


def _config(path: Path) -> Mapping[str, Any]:
    config = path / "config.json"
    if config.exists():
        return read_object(config)
    if (path / "adapter_config.json").exists():
        raise Unreadable(
            "holds adapters and not a model; use the merged model that was exported from it", path
        )
    raise Unreadable("holds no config.json, so it is not a model", path)


def _optional(path: Path) -> Mapping[str, Any]:
    return read_object(path) if path.exists() else {}


def _is_small(path: Path) -> bool:
    files = (path / "config.json", path / "args.json")
    return sum(file.stat().st_size for file in files if file.exists()) <= SMALL_JSON


def _shards(path: Path) -> Mapping[Path, list[str]]:
    """The weight files that each index names."""
    maps = {path / name: _optional(path / name).get("weight_map") for name in _INDEXES}
    return {
        index: sorted({str(name) for name in found.values()})
        for index, found in maps.items()
        if isinstance(found, Mapping)
    }


def _missing(path: Path, shards: Mapping[Path, list[str]], at: str) -> Iterator[Violation]:
    if not any((path / name).exists() for name in TOKENIZERS):
        yield in_file(at, "holds no tokenizer (tokenizer.json or tokenizer.model)", str(path))
    for index, names in shards.items():
        lost = [name for name in names if not (path / name).exists()]
        if lost:
            yield in_file(at, f"names {lost[0]}, which is not there ({len(lost)} missing)", str(index))


def _broken(weights: list[Path]) -> Iterator[tuple[Path, str]]:
    for file in weights:
        if file.suffix == ".safetensors" and (fault := _safetensors_fault(file)):
            yield file, fault


def _safetensors_fault(file: Path) -> str:
    """A file that was cut short, or is only the pointer to one, is told by its head."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        head = opened.read(_LENGTH)
        if head.startswith(b"version "):
            return "is a git-lfs pointer and not the file itself; fetch it with git lfs pull"
        length = struct.unpack("<Q", head)[0] if len(head) == _LENGTH else 0
        if not 2 <= length <= size - _LENGTH:
            return "is not a safetensors file, or is cut short"
        header = opened.read(length) if length <= MOST_JSON else b""
    return _cut_short(header, size - _LENGTH - length) if header else ""


def _cut_short(header: bytes, data_bytes: int) -> str:
    try:
        tensors = json.loads(header)
        ends = [tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__"]
        wanted = max(ends, default=0)
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return "is not a safetensors file"
    return f"is cut short: {wanted - data_bytes} bytes are missing" if wanted > data_bytes else ""
