"""The real trainer environment: ms-swift with torch."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def trainer_python() -> Path:
    """The Python that has ms-swift; `make setup-trainer` makes it."""
    python = Path(os.environ.get("TRAINER_PYTHON", ROOT / ".venv-trainer" / "bin" / "python"))
    if not python.exists():
        pytest.skip(f"there is no trainer environment at {python}; run `make setup-trainer`")
    return python
