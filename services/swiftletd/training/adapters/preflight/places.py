"""Paths and hub ids: which is which, and what is allowed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

_HUB_MODEL = re.compile(r"(?:(?:hf|ms)::)?[\w.-]+/[\w.-]+")
_HUB_DATASET = re.compile(r"(?:(?:hf|ms)::)?(?:[\w.-]+/[\w.-]+|[\w-]+)(?::[\w./-]+)?")
# A name that ends like this is a file that is missing, not a hub id.
_FILE = re.compile(r"\.(?:jsonl|json|csv|txt|parquet|safetensors|bin|gguf)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """`base`: what relative paths start from; `roots`: where results may be written."""

    base: Path
    roots: tuple[Path, ...]

    def absolute(self, text: str) -> Path:
        """The text as a path, without `.` and `..`."""
        return Path(os.path.normpath(self.base / os.path.expanduser(text)))  # noqa: PTH111 (raises nothing)

    def local(self, text: str) -> Path | None:
        """The absolute path, or None for what may be a hub id.

        A path is absolute, or begins with `./`, `../` or `~`, or ends like a data file, or is there below
        the base directory. So `AI-ModelScope/coco` is a hub id unless there is a directory of that name.
        """
        if text.startswith(("/", "./", "../", "~")) or text in {".", ".."} or _FILE.search(text):
            return self.absolute(text)
        path = self.absolute(text)
        return path if is_there(path) else None

    def allows(self, path: Path) -> bool:
        """Whether results may be written there, with all symbolic links followed."""
        real = path.resolve()
        return any(real.is_relative_to(root.resolve()) for root in self.roots)


def is_hub_model(text: str) -> bool:
    """`owner/name`, with an optional `hf::` or `ms::` before it."""
    return _HUB_MODEL.fullmatch(text) is not None


def is_hub_dataset(text: str) -> bool:
    """`owner/name`, or a short name that ms-swift knows, with an optional `:subset`."""
    return _HUB_DATASET.fullmatch(text) is not None


def is_there(path: Path) -> bool:
    """Path.exists(), and False for what can't be a path at all."""
    try:
        return path.exists()
    except OSError:
        return False


def nearest_existing(path: Path) -> Path:
    """The path itself or the closest directory above it that is there."""
    return next(place for place in (path, *path.parents) if place.exists())
