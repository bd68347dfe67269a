"""What real run directories tell of model servers, and what becomes of them."""

from __future__ import annotations

from fcntl import LOCK_EX, flock
from pathlib import Path

import pytest

from swiftletd.deploy.adapters.servers import Launching, LocalServers
from swiftletd.runner.rundir import RunDir

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


async def test_the_directories_of_runs_are_known_and_removed_one_by_one(
    servers: LocalServers, tmp_path: Path
) -> None:
    for run in ("a-1/1", "a-1/2", "b/7"):
        (tmp_path / "deploy" / run / "log").mkdir(parents=True)
    assert await servers.known() == {"a-1": ["deploy-a-1-1", "deploy-a-1-2"], "b": ["deploy-b-7"]}
    for entry in ("deploy-a-1-1", "deploy-b-7", "deploy-never-1"):
        await servers.remove(entry)
    assert await servers.known() == {"a-1": ["deploy-a-1-2"]}
    assert [path.name for path in (tmp_path / "deploy").iterdir()] == ["a-1"]


async def test_a_run_that_lives_is_asked_to_end_and_not_removed(
    servers: LocalServers, tmp_path: Path
) -> None:
    path = tmp_path / "deploy" / "a" / "1"
    run = RunDir(path)
    run.write_spec({"run": "deploy-a-1"})
    with run.lock_path.open("w") as lock:
        flock(lock, LOCK_EX)
        await servers.remove("deploy-a-1")
        assert run.stop_word() == "cancelled"
    await servers.remove("deploy-a-1")
    assert not path.exists()
