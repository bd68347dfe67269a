"""The installed ms-swift, found by the path of its Python; read once, and kept on disk by version."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import msgspec

from swiftletd.training.adapters.swift_models import read_model_types, read_templates
from swiftletd.training.adapters.swift_source import read_flags
from swiftletd.training.domain.installation import Installation

_FORMAT = 1
"""Part of the cache's file name; to be raised when what is read changes."""


LOOK_AGAIN_SECONDS = 2.0  # an upgrade of ms-swift is noticed after so long


class TrainerMissing(RuntimeError):
    """The trainer environment is not usable; the message says why and what to do."""


class SwiftSchema:
    """Answers what the ms-swift of a trainer environment is and takes. Safe to use from several threads."""

    def __init__(
        self, python: Path, cache_dir: Path | None = None, *, look_again: float = LOOK_AGAIN_SECONDS
    ) -> None:
        self._python = python
        self._cache_dir = cache_dir
        self._known: tuple[str, Installation] | None = None
        self._look_again, self._good_until = look_again, 0.0
        self._lock = threading.Lock()

    def installation(self) -> Installation:
        """What is installed now: under 1 ms if known, 3 ms from disk, up to a second when first seen.

        Raises TrainerMissing where there is no ms-swift, or one whose sources can't be read.
        """
        if self._known and time.monotonic() < self._good_until:
            return self._known[1]
        site_packages = find_site_packages(self._python)
        seen = f"{site_packages} {site_packages.stat().st_mtime_ns}"
        with self._lock:
            if self._known is None or self._known[0] != seen:
                self._known = (seen, self._look(site_packages))
            self._good_until = time.monotonic() + self._look_again
            return self._known[1]

    def is_known(self) -> bool:
        """Whether `installation` answers without looking at a file."""
        return self._known is not None and time.monotonic() < self._good_until

    def _look(self, site_packages: Path) -> Installation:
        packages = _packages(site_packages)
        stamp = f"{_FORMAT}-{packages['ms_swift']}-{packages.get('transformers', '')}"
        installation = self._cached(stamp) or self._read(stamp, site_packages)
        return replace(installation, packages=frozenset(packages))

    def _read(self, stamp: str, site_packages: Path) -> Installation:
        try:
            installation = read_installation(site_packages)
        except (OSError, SyntaxError, ValueError) as error:
            raise TrainerMissing(
                f"the sources of ms-swift in {site_packages} can't be read: {error}"
            ) from error
        self._keep(stamp, installation)
        return installation

    def _cached(self, stamp: str) -> Installation | None:
        if self._cache_dir is None:
            return None
        try:
            return msgspec.json.decode(self._file(self._cache_dir, stamp).read_bytes(), type=Installation)
        except (OSError, msgspec.DecodeError):
            return None

    def _keep(self, stamp: str, installation: Installation) -> None:
        """Best effort: without the file the sources are read again at the next start."""
        if self._cache_dir is None:
            return
        with contextlib.suppress(OSError):
            self._cache_dir.mkdir(parents=True, exist_ok=True)
            file = self._file(self._cache_dir, stamp)
            draft = file.with_suffix(f".{os.getpid()}")
            draft.write_bytes(msgspec.json.encode(installation))
            draft.replace(file)

    @staticmethod
    def _file(cache_dir: Path, stamp: str) -> Path:
        return cache_dir / f"ms-swift-{stamp}.json"


def read_installation(site_packages: Path) -> Installation:
    """Read the sources in a site-packages directory. Raises OSError, SyntaxError, ValueError."""
    flags = read_flags(site_packages)
    if "sft" not in flags:
        raise ValueError("the arguments of `swift sft` are not where versions 3 and 4 have them")
    return Installation(
        version=_packages(site_packages)["ms_swift"],
        flags=flags,
        model_types=read_model_types(site_packages),
        templates=read_templates(site_packages),
    )


def find_site_packages(python: Path) -> Path:
    """Where the packages of a Python are, judged by the paths alone. Raises TrainerMissing."""
    if not python.exists():
        raise TrainerMissing(
            f"there is no Python at {python}; set TRAINER_PYTHON to that of the trainer environment"
        )
    prefix = python.parent.parent
    for place in sorted(prefix.glob("lib/python3*/*-packages")):
        if next(place.glob("ms_swift-*.dist-info"), None):
            return place
    raise TrainerMissing(f"ms-swift is not installed in {prefix}; install it there, or set TRAINER_PYTHON")


def _packages(site_packages: Path) -> dict[str, str]:
    """The versions of all installed distributions by name, as their directories are called."""
    names = (path.name.removesuffix(".dist-info") for path in site_packages.glob("*.dist-info"))
    return {name.lower().replace(".", "_"): version for name, _, version in (x.partition("-") for x in names)}
