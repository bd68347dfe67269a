"""The installed ms-swift, found by the path of its Python; read once, and kept on disk by version."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import msgspec

from swiftletd.training.adapters.swift_models import read_model_types, read_templates
from swiftletd.training.adapters.swift_source import read_flags
from swiftletd.training.domain.installation import Installation

_FORMAT = 1
"""Part of the cache's file name; to be raised when what is read changes."""


class TrainerMissing(RuntimeError):
    """The trainer environment is not usable; the message says why and what to do."""


class SwiftSchema:
    """Answers what the ms-swift of a trainer environment is and takes. Safe to use from several threads."""

    def __init__(self, python: Path, cache_dir: Path | None = None) -> None:
        self._python = python
        self._cache_dir = cache_dir
        self._known: tuple[str, Installation] | None = None
        self._lock = threading.Lock()

    def installation(self) -> Installation:
        """What is installed now: microseconds if known, 1 ms from disk, up to a second when first seen.

        Raises TrainerMissing where there is no ms-swift, or one whose sources can't be read.
        """
        site_packages = find_site_packages(self._python)
        stamp = f"{_FORMAT}-{_version(site_packages, 'ms_swift')}-{_version(site_packages, 'transformers')}"
        with self._lock:
            if self._known is None or self._known[0] != stamp:
                self._known = (stamp, self._cached(stamp) or self._read(stamp, site_packages))
            return self._known[1]

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
        version=_version(site_packages, "ms_swift"),
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
        if _dist_info(place, "ms_swift"):
            return place
    raise TrainerMissing(f"ms-swift is not installed in {prefix}; install it there, or set TRAINER_PYTHON")


def _version(site_packages: Path, package: str) -> str:
    return _dist_info(site_packages, package).removeprefix(f"{package}-").removesuffix(".dist-info")


def _dist_info(site_packages: Path, package: str) -> str:
    return next((path.name for path in site_packages.glob(f"{package}-*.dist-info")), "")
