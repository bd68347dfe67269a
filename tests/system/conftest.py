"""Whole suites: one whose trainer is the double, one with the real ms-swift."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.suite import ROOT, TRAINER, Suite, fake_trainer


@pytest.fixture(scope="session")
def make_suite() -> Iterator[Callable[..., Suite]]:
    """Starts suites; the arguments are environment variables. All are stopped at the end."""
    made: list[Suite] = []
    homes: list[Path] = []

    def make(**environment: str) -> Suite:
        home = Path(tempfile.mkdtemp(prefix="swl"))  # short: sockets have to fit
        homes.append(home)
        suite = Suite(home, environment)
        suite.up()
        made.append(suite)
        return suite

    yield make
    for suite in made:
        suite.api.close()
        suite.down()
        for process in suite.processes():  # jobs go on by design; those of a test must not
            process.kill()
    for home in homes:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="session")
def fast(make_suite: Callable[..., Suite], tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """A suite whose trainer is the double: jobs take a second and need no model."""
    python = fake_trainer(tmp_path_factory.mktemp("trainer"))
    return make_suite(TRAINER_PYTHON=str(python), PREFLIGHT="false")


@pytest.fixture
def quick_job(fast: Suite, tmp_path: Path) -> dict[str, Any]:
    """Body of a job that the double trains: 10 steps of 50 ms."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "fake_swift.json").write_text(json.dumps({"step_seconds": 0.05}))
    (tmp_path / "data.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
    return {
        "task_type": "llm",
        "model_path": str(tmp_path / "model"),
        "data_path": str(tmp_path / "data.jsonl"),
        "output_dir": str(fast.home / "out"),
        "llm_params": {"max_steps": 10, "save_steps": 5},
    }


@pytest.fixture(scope="session")
def real(make_suite: Callable[..., Suite]) -> Suite:
    """A suite with the real ms-swift."""
    assert TRAINER.exists(), "there is no trainer environment; run `make setup-trainer`"
    return make_suite(TRAINER_PYTHON=str(TRAINER))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a tiny model and a data set that it learns in seconds."""
    out = tmp_path_factory.mktemp("tiny")
    subprocess.run([TRAINER, ROOT / "examples" / "make_tiny_model.py", out], check=True, capture_output=True)
    return out
