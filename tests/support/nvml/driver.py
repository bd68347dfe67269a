"""A fake NVIDIA driver for this process: the unmodified nvidia-ml-py loads it as libnvidia-ml.so.1.

`gpus("...")` changes the hardware at any time; fake_nvml.c says in which words.
"""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")
FLAGS = ["-O1", "-Wall", "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]


@pytest.fixture(scope="session")
def nvml_folder(tmp_path_factory):
    """A folder with the library, which this process has loaded: glibc finds it again by its SONAME."""
    folder = tmp_path_factory.mktemp("nvml")
    subprocess.run(["gcc", *FLAGS, "-o", folder / "libnvidia-ml.so.1", SOURCE], check=True)
    ctypes.CDLL(str(folder / "libnvidia-ml.so.1"))
    return folder


@pytest.fixture
def gpus(nvml_folder, tmp_path, monkeypatch):
    """Sets the hardware; four H100 to begin with. Child processes see it too."""
    state = tmp_path / "gpus"

    def set_to(text: str) -> None:
        new = state.with_suffix(".new")
        new.write_text(text)
        new.replace(state)

    set_to("gpu\n" * 4)
    monkeypatch.setenv("FAKE_NVML", str(state))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(nvml_folder))
    return set_to
