"""Paths and hub ids: which is which, and what is allowed.

These are a few system calls for each create, so they are made on plain text: pathlib takes longer than the
system does.
"""

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

    def absolute(self, text: str) -> str:
        """The text as a path, without `.` and `..`."""
        whole = text if text.startswith("/") else os.path.join(self.base, os.path.expanduser(text))
        return os.path.normpath(whole)

    def local(self, text: str) -> str | None:
        """The absolute path, or None for what may be a hub id.

        A path is absolute, or begins with `./`, `../` or `~`, or ends like a data file, or is there below
        the base directory. So `AI-ModelScope/coco` is a hub id unless there is a directory of that name.
        """
        if text.startswith(("/", "./", "../", "~")) or text in {".", ".."} or _FILE.search(text):
            return self.absolute(text)
        path = self.absolute(text)
        return path if is_there(path) else None

    def allows(self, path: str) -> bool:
        """Whether results may be written there, with all symbolic links followed."""
        real = os.path.realpath(path)
        return any(_is_below(real, os.path.realpath(root)) for root in self.roots)


def is_hub_model(text: str) -> bool:
    """`owner/name`, with an optional `hf::` or `ms::` before it."""
    return _HUB_MODEL.fullmatch(text) is not None


def is_hub_dataset(text: str) -> bool:
    """`owner/name`, or a short name that ms-swift knows, with an optional `:subset`."""
    return _HUB_DATASET.fullmatch(text) is not None


def is_there(path: str) -> bool:
    """Whether it exists; False for what can't be a path at all."""
    return os.path.exists(path)


def nearest_existing(path: str) -> str:
    """The path itself or the closest directory above it that is there. Raises OSError."""
    while True:
        try:
            os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            path = os.path.dirname(path)
        else:
            return path


def _is_below(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")
