"""What the programs of a suite find in their environment, and how Redis is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from swiftletd.suite import broker
from swiftletd.suite.broker import BrokerError
from swiftletd.suite.home import Home
from swiftletd.suite.programs import environment
from swiftletd.suite.settings import UpSettings


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch, tmp_path):
    for name in ("REDIS_URL", "REDIS_HOST", "APP_HOST", "TRAINER_PYTHON", "LOG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def settings(**more) -> UpSettings:
    return UpSettings(swiftlet_home=Path("/h"), **more)


def test_services_are_told_where_everything_is():
    given = environment(settings(), {"PATH": "/bin"})
    assert given["PATH"] == "/bin"
    assert given["SWIFTLET_HOME"] == "/h"
    assert given["REDIS_URL"] == "unix:///h/run/redis.sock?db=0"
    assert given["GPU_LISTEN"] == given["GPU_ADDRESS"] == "unix:/h/run/gpu.sock"
    assert given["DEPLOY_LISTEN"] == "unix:/h/run/deploy.sock"


def test_the_environment_wins_over_the_env_file(tmp_path):
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / ".env.dev").write_text("QUEUE_CHECK_INTERVAL=5\nGPU_MEMORY_THRESHOLD=0.1\n")
    given = environment(settings(), {"GPU_MEMORY_THRESHOLD": "0.2"})
    assert (given["QUEUE_CHECK_INTERVAL"], given["GPU_MEMORY_THRESHOLD"]) == ("5", "0.2")


def test_the_trainer_is_found_where_one_works(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.prefix", str(tmp_path / "elsewhere" / ".venv"))
    assert settings(work_dir=tmp_path).trainer() is None
    python = tmp_path / ".venv-trainer" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert environment(settings(work_dir=tmp_path), {})["TRAINER_PYTHON"] == str(python)


@pytest.mark.parametrize(
    ("host", "authority"),
    [
        ("localhost", "127.0.0.1:8000"),
        ("0.0.0.0", "127.0.0.1:8000"),
        ("192.168.1.5", "192.168.1.5:8000"),
        ("::", "[::1]:8000"),
    ],
)
def test_how_this_machine_reaches_the_gateway(host, authority):
    assert settings(app_host=host, app_port=8000).authority == authority


def test_redis_listens_on_its_socket_only_and_has_all_databases_that_are_asked_for():
    program = broker.program(Home(Path("/h")), Path("/bin/server"), 20)
    options = dict(zip(program.argv[1::2], program.argv[2::2], strict=True))
    assert options["--port"] == "0"
    assert options["--unixsocket"] == program.ready.address == "/h/run/redis.sock"
    assert options["--databases"] == "21"


def test_without_the_bundled_server_one_on_the_path_is_taken(monkeypatch, tmp_path):
    monkeypatch.setattr(broker, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerError, match="REDIS_URL or REDIS_HOST"):
        broker.server_binary()
    server = tmp_path / "redis-server"
    server.touch(mode=0o755)
    assert broker.server_binary() == server
