"""From which checkpoints a training can go on as if nothing had happened."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from swiftletd.training.adapters.checkpoints import is_whole, last_whole


def checkpoint(path: Path) -> Path:
    path.mkdir(parents=True)
    header = json.dumps({"__metadata__": {"format": "pt"}, "w": {"data_offsets": [0, 64]}}).encode()
    (path / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(64))
    with zipfile.ZipFile(path / "optimizer.pt", "w") as archive:
        archive.writestr("data", "moments")
    (path / "trainer_state.json").write_text('{"global_step": 5}')
    return path


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def test_the_whole_one_with_the_most_steps_is_taken(tmp_path: Path) -> None:
    assert last_whole(tmp_path / "nothing") == ""
    for step in (9, 10, 100):
        checkpoint(tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-100" / "trainer_state.json").unlink()  # killed while it was saved
    assert last_whole(tmp_path) == str(tmp_path / "checkpoint-10")


@pytest.mark.parametrize("name", ["adapter_model.safetensors", "optimizer.pt", "trainer_state.json"])
def test_what_a_power_loss_cut_short_is_not_whole(tmp_path: Path, name: str) -> None:
    path = checkpoint(tmp_path / "checkpoint-5")
    assert is_whole(path)
    cut(path / name)
    assert not is_whole(path)
    (path / name).write_bytes(b"")
    assert not is_whole(path)


def test_without_the_state_of_an_optimizer_it_is_not_whole_whoever_saved_it(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "checkpoint-5")
    (path / "optimizer.pt").unlink()
    assert not is_whole(path)
    (path / "global_step5").mkdir()  # of DeepSpeed
    assert is_whole(path)
