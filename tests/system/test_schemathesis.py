"""Whatever fits the OpenAPI document, or just not, the suite answers as the document says.

schemathesis sends both to every operation but the streams. Its environment is `make setup-schemathesis`.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from support.suite import API, ROOT, Suite, fake_trainer

pytestmark = [pytest.mark.trainer, pytest.mark.timeout(340)]
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
    "request-timeout": "30",
    "warnings": "off",
}
JOBS, STREAMS = "^/api/v1/training/(jobs|llm|mllm)", "/stream$"  # these end when their job does, or never
# Two processes and not two workers: with threads hypothesis parses Python in both at once, and CPython 3.11
# fails now and then with "AST constructor recursion depth mismatch", in whatever operation comes up.
PARTS = (
    {"include-path-regex": JOBS, "exclude-path-regex": STREAMS},
    {"exclude-path-regex": f"{JOBS}|{STREAMS}"},
)
FEWEST = 2000  # cases; fewer were no proof


def test_every_answer_is_one_of_the_document(
    make_suite: Callable[..., Suite], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert SCHEMATHESIS.exists(), "there is no schemathesis; run `make setup-schemathesis`"
    # A suite of its own: hundreds of jobs are left behind.
    suite = make_suite(TRAINER_PYTHON=str(fake_trainer(tmp_path / "trainer")), PREFLIGHT="false")
    with ThreadPoolExecutor(len(PARTS)) as threads:
        walks = list(threads.map(lambda part: _walk(suite, tmp_path, part), PARTS))
    halted = suite.api.post(f"{API}/training/queue/processor/stop")  # those jobs are not to run now

    assert not any(walk.returncode for walk in walks), (
        "\n".join(w.stdout + w.stderr for w in walks) + suite.logs()
    )
    cases = sum(int(count) for walk in walks for count in re.findall(r"(\d+) generated", walk.stdout))
    with capsys.disabled():
        print(f"\nschemathesis: {cases} cases, all answered as the document says")
    assert cases >= FEWEST
    assert halted.status_code == httpx.codes.OK


def _walk(suite: Suite, directory: Path, part: dict[str, str]) -> subprocess.CompletedProcess[str]:
    options = [f"--{name}={value}" for name, value in (OPTIONS | part).items()]
    document = f"http://127.0.0.1:{suite.port}/openapi.json"
    return subprocess.run(
        [SCHEMATHESIS, "run", document, *options, "--no-shrink", "--continue-on-failure"],
        cwd=directory,  # it leaves a database of examples where it runs
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
