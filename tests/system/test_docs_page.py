"""The documentation page in a real browser: it shows the operations, without asking another host."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from support.suite import API, Suite

CHROMIUM = shutil.which("chromium")
QUIET = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--virtual-time-budget=15000",
    "--window-size=1280,2400",
)

pytestmark = [
    pytest.mark.trainer,
    pytest.mark.timeout(120),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium; the page isn't seen in a browser"),
]


def test_the_page_shows_the_operations_though_no_other_host_can_be_reached(
    fast: Suite, tmp_path: Path
) -> None:
    screenshot = tmp_path / "docs.png"
    page = subprocess.run(
        [
            str(CHROMIUM),
            *QUIET,
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={screenshot}",
            "--dump-dom",
            f"http://127.0.0.1:{fast.port}/docs",
        ],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    for path in (f"{API}/training/jobs", f"{API}/deploy/jobs", f"{API}/training/queue"):
        assert f'data-path="{path}"' in page.stdout
    assert "opblock-summary-description" in page.stdout
    assert screenshot.stat().st_size > 0
