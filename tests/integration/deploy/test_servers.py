"""What the log of a model server tells, from real run directories."""

from __future__ import annotations

from pathlib import Path

import pytest

from swiftletd.deploy.adapters.servers import Launching, LocalServers

LOADED = "2026-01-01T00:00:00.000Z E INFO:     Application startup complete.\n"
SERVES = "2026-01-01T00:00:00.000Z E INFO:     Uvicorn running on http://127.0.0.1:{} (Press CTRL+C)\n"


@pytest.fixture
def servers(tmp_path: Path) -> LocalServers:
    launching = Launching(
        runs=tmp_path, trainer_python=Path("python"), redis_url="redis://unused", grace_seconds=1.0
    )
    return LocalServers(launching)


@pytest.mark.parametrize(
    ("text", "port"), [("", 0), (LOADED, 0), (LOADED + SERVES.format(8002), 8002)], ids=str
)
async def test_a_server_says_at_which_port_it_serves(
    servers: LocalServers, tmp_path: Path, text: str, port: int
) -> None:
    log = tmp_path / "deploy" / "a" / "1" / "log"
    log.mkdir(parents=True)
    (log / f"{0:016}.log").write_text(text)
    assert await servers.announced_port("deploy-a-1") == port
