"""docker-compose.yml, checked as far as it can be without an engine: against the official schema of compose
files, and against what the suite needs from it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from swiftlet_gateway.settings import GatewaySettings
from swiftletd.deploy.settings import DeploySettings
from swiftletd.gpu.settings import GpuSettings
from swiftletd.kernel.settings import SuiteSettings
from swiftletd.training.settings import TrainingSettings

ROOT = Path(__file__).parents[3]
FILE = ROOT / "docker-compose.yml"
GPU_USERS = ("gpu", "training", "deploy")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return yaml.safe_load(FILE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    return compose["services"]


def test_it_is_a_valid_compose_file() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(FILE)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_mistake_would_be_seen(tmp_path: Path) -> None:
    wrong = tmp_path / "compose.yml"
    wrong.write_text(FILE.read_text(encoding="utf-8").replace("count: all", "count: [all]"), encoding="utf-8")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", str(wrong)]
    assert subprocess.run(check, capture_output=True, check=False).returncode == 1


def test_the_whole_suite_is_there(services: dict[str, Any]) -> None:
    assert set(services) == {"redis", "gpu", "training", "deploy", "envoy"}
    assert all("healthcheck" in service for service in services.values())
    assert all(service["restart"] == "unless-stopped" for service in services.values())


@pytest.mark.parametrize("name", GPU_USERS)
def test_what_uses_gpus_reserves_them_and_shares_pids_and_home(services: dict[str, Any], name: str) -> None:
    (device,) = services[name]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    assert services[name]["pid"] == "host"
    assert "home:/var/lib/swiftlet" in services[name]["volumes"]


def test_only_the_gateway_is_published_and_only_on_the_loopback(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert published == ["127.0.0.1:${APP_PORT:-8000}:8000"]
    # Envoy listens in the network of `deploy`, beside the model servers.
    assert services["envoy"]["network_mode"] == "service:deploy"
    assert services["envoy"]["environment"]["APP_PORT"] == "8000"


@pytest.mark.parametrize("name", GPU_USERS)
def test_a_service_listens_where_the_others_look_for_it(services: dict[str, Any], name: str) -> None:
    host, port = services["envoy"]["environment"][f"{name.upper()}_ADDRESS"].split(":")
    assert host == name
    assert services[name]["environment"][f"{name.upper()}_LISTEN"] == f"0.0.0.0:{port}"
    assert services[name]["healthcheck"]["test"][-1] == f"{name}:{port}"


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("gpu", GpuSettings),
        ("training", TrainingSettings),
        ("deploy", DeploySettings),
        ("envoy", GatewaySettings),
    ],
)
def test_every_variable_is_a_setting(
    services: dict[str, Any], name: str, settings: type[BaseSettings]
) -> None:
    # What all containers are given need not mean something to each of them.
    known = {field.upper() for field in {*settings.model_fields, *SuiteSettings.model_fields}}
    assert set(services[name]["environment"]) <= known


def test_named_volumes_are_declared(compose: dict[str, Any], services: dict[str, Any]) -> None:
    mounts = [mount for service in services.values() for mount in service.get("volumes", [])]
    named = {mount.partition(":")[0] for mount in mounts if mount[0].isalpha()}
    assert named == set(compose["volumes"]) == {"home", "redis"}


def test_each_image_is_a_stage_of_the_dockerfile(services: dict[str, Any]) -> None:
    stages = {
        line.split()[-1]
        for line in (ROOT / "Dockerfile").read_text().splitlines()
        if line.startswith("FROM ")
    }
    built = {service["build"]["target"] for service in services.values() if "build" in service}
    assert built == stages == {"services", "trainer"}
