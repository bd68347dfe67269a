"""Whatever fits the OpenAPI document, or just not, the suite answers as the document says.

schemathesis sends both to every operation but the streams. Its environment is `make setup-schemathesis`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from support.suite import API, ROOT, Suite, fake_trainer

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(180)]
SCHEMATHESIS = Path(os.environ.get("SCHEMATHESIS", ROOT / ".venv-schemathesis" / "bin" / "st"))
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
)
OPTIONS = {
    "phases": "examples,fuzzing,coverage",
    "checks": ",".join(CHECKS),
    "max-examples": "15",
    "seed": "1",
    "workers": "1",
    "request-timeout": "30",
    # Streams end when their job does, or never; a pass starts the real process of a job that waits.
    "exclude-path-regex": "(/stream|/queue/process)$",
    "warnings": "off",
}
FEWEST = 2000  # cases; fewer were no proof


def test_every_answer_is_one_of_the_document(
    make_suite: Callable[..., Suite], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert SCHEMATHESIS.exists(), "there is no schemathesis; run `make setup-schemathesis`"
    # A suite of its own: hundreds of jobs are left behind.
    suite = make_suite(TRAINER_PYTHON=str(fake_trainer(tmp_path / "trainer")), PREFLIGHT="false")
    options = [f"--{name}={value}" for name, value in OPTIONS.items()]
    document = f"http://127.0.0.1:{suite.port}/openapi.json"

    walk = subprocess.run(
        [SCHEMATHESIS, "run", document, *options, "--no-shrink", "--continue-on-failure"],
        cwd=tmp_path,  # it leaves a database of examples where it runs
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    halted = suite.api.post(f"{API}/training/queue/processor/stop")  # those jobs are not to run now

    assert walk.returncode == 0, f"{walk.stdout}\n{walk.stderr}\n{suite.logs()}"
    generated = re.search(r"(\d+) generated", walk.stdout)
    assert generated, walk.stdout
    with capsys.disabled():
        print(f"\nschemathesis: {generated[1]} cases, all answered as the document says")
    assert int(generated[1]) >= FEWEST
    assert halted.status_code == httpx.codes.OK
