"""Which paths may be looked at by an event loop."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from swiftletd.training.adapters.preflight.local import MOST_KNOWN, Locality, is_local


def mounts(tmp_path: Path, kind: str) -> Path:
    """What the kernel would say if the temporary directory were on a file system of this kind."""
    device = tmp_path.stat().st_dev
    roots = {path.stat().st_dev for path in tmp_path.parents} - {device}
    table = tmp_path / "mountinfo"
    lines = [f"1 1 {os.major(it)}:{os.minor(it)} / / rw shared:1 - ext4 /dev/x rw" for it in roots]
    lines.append(f"2 1 {os.major(device)}:{os.minor(device)} / /mnt rw - {kind} server:/x rw")
    table.write_text("\n".join(lines))
    return table


@pytest.mark.parametrize(
    ("kind", "local"), [("ext4", True), ("xfs", True), ("nfs4", False), ("fuse.sshfs", False), ("9p", False)]
)
def test_the_kind_of_the_file_system_decides(tmp_path: Path, kind: str, local: bool):
    assert is_local(str(tmp_path / "not" / "there"), mounts(tmp_path, kind)) is local


def test_what_the_kernel_does_not_tell_is_not_local(tmp_path: Path):
    assert not is_local(str(tmp_path), tmp_path / "none")


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path):
    (tmp_path / "link").symlink_to("/proc/self")
    assert not is_local(str(tmp_path / "link"), mounts(tmp_path, "ext4"))


def test_a_hub_id_needs_no_disk():
    assert is_local("Qwen/Qwen3-0.6B")


def test_what_is_known_is_forgotten(monkeypatch: pytest.MonkeyPatch):
    known, now = Locality(), [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    known.learn(("a",))
    assert known.knows(("a",))
    assert not known.knows(("b",))

    now[0] += 61.0
    assert not known.knows(("a",))
    for number in range(MOST_KNOWN + 1):
        known.learn((str(number),))
    assert not known.knows(("0",))
    assert known.knows((str(MOST_KNOWN),))
