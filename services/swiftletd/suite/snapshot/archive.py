"""The file of a backup."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from swiftletd.suite.snapshot.keys import Entry

FORMAT = 1
MANIFEST, STATE, RUNS = "manifest.json", "state.msgpack", "runs"
LARGEST_STATE = 4 * 1024**3  # bytes; a guard against a file that isn't ours


class ArchiveError(Exception):
    """The file is not a backup that can be read; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup says about itself."""

    created_at: str  # RFC 3339
    version: str  # of swiftletd
    with_runs: bool
    format: int = FORMAT


def write(file: Path, manifest: Manifest, entries: Sequence[Entry], runs: Path) -> int:
    """Write it in one step, for the owner only; gives the number of files of runs in it. Raises OSError."""
    draft = file.with_name(f"{file.name}.draft")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "wb") as raw, tarfile.open(fileobj=raw, mode="w:gz", compresslevel=6) as tar:
            _add(tar, MANIFEST, msgspec.json.encode(manifest))
            _add(tar, STATE, msgspec.msgpack.encode(entries))
            count = _add_runs(tar, runs) if manifest.with_runs else 0
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    return count


def read(file: Path, unpack_runs_to: Path) -> tuple[Manifest, list[Entry], int]:
    """Read it; its runs go to a new directory. Gives the number of files of runs. Raises ArchiveError."""
    try:
        with tarfile.open(file, "r:gz") as tar:
            manifest = _manifest(tar)
            entries = msgspec.msgpack.decode(_content(tar, STATE), type=list[Entry])
            return manifest, entries, _unpack_runs(tar, unpack_runs_to)
    except (tarfile.TarError, EOFError, OSError, msgspec.DecodeError) as error:
        raise ArchiveError(f"{file} can't be read: {error}.") from error


def _manifest(tar: tarfile.TarFile) -> Manifest:
    manifest = msgspec.json.decode(_content(tar, MANIFEST), type=Manifest)
    if manifest.format != FORMAT:
        raise ArchiveError(f"The backup has format {manifest.format}; this version reads format {FORMAT}.")
    return manifest


def _content(tar: tarfile.TarFile, name: str) -> bytes:
    member = tar.next()
    if member is None or member.name != name or not member.isfile() or member.size > LARGEST_STATE:
        raise ArchiveError(f"It is not a backup of Swiftlet: {name} is not where it should be.")
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _add_runs(tar: tarfile.TarFile, runs: Path) -> int:
    count = 0
    for path in sorted(runs.rglob("*")):
        count += path.is_file() and not path.is_symlink() and _add_file(tar, path, path.relative_to(runs))
    return count


def _add_file(tar: tarfile.TarFile, path: Path, name: Path) -> bool:
    """A file may grow or vanish while the suite runs: what it held when it was opened is taken."""
    try:
        with path.open("rb") as file:
            tar.addfile(tar.gettarinfo(arcname=f"{RUNS}/{name.as_posix()}", fileobj=file), file)
    except FileNotFoundError:
        return False
    return True


def _unpack_runs(tar: tarfile.TarFile, target: Path) -> int:
    count = 0
    while (member := tar.next()) is not None:
        path = target / _confined(member)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        source = tar.extractfile(member)
        assert source is not None
        with path.open("xb") as file:
            shutil.copyfileobj(source, file)
        count += 1
    return count


def _confined(member: tarfile.TarInfo) -> PurePosixPath:
    """Where in the runs a member belongs; ArchiveError for all that could reach out of there."""
    path = PurePosixPath(member.name)
    if not member.isfile() or path.parts[:1] != (RUNS,) or ".." in path.parts or len(path.parts) < 2:
        raise ArchiveError(f"It is not a backup of Swiftlet: {member.name!r} does not belong into it.")
    return path.relative_to(RUNS)
