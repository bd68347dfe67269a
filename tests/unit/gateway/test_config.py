"""What is written is what Envoy takes."""

from __future__ import annotations

import json
import stat
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swiftlet_gateway import Options, command, write_config
from swiftlet_gateway.options import as_domain
from swiftlet_gateway.replies import local_reply_config
from swiftlet_gateway.settings import GatewaySettings

SOCKETS = {name: (f"unix:/run/{name}.sock",) for name in ("gpu", "training", "deploy")}
TCP = {"gpu": ("gpu:50051",), "training": ("training-1:50052", "training-2:50052"), "deploy": ("[::1]:1",)}


@pytest.mark.parametrize(
    "more",
    [
        {"upstreams": SOCKETS},
        {"upstreams": TCP, "host": "::", "port": 18000, "api_prefix": "/x/y"},
        {"upstreams": SOCKETS, "host": "0.0.0.0", "host_names": ("*",), "cors_origins": ("*",)},
        {"upstreams": SOCKETS, "cors_origins": ("https://a.example", "http://b.example:3000")},
    ],
    ids=["sockets", "tcp", "open", "cors"],
)
def test_envoy_takes_the_configuration(tmp_path, more):
    paths = write_config(Options(out=tmp_path / "gateway", access_log=tmp_path / "access.log", **more))
    checked = subprocess.run(
        command(paths.bootstrap, validate=True), capture_output=True, text=True, timeout=30, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


def test_others_can_read_nothing(tmp_path):
    paths = write_config(Options(out=tmp_path / "gateway", upstreams=SOCKETS))
    assert stat.S_IMODE((tmp_path / "gateway").stat().st_mode) == 0o700
    bootstrap = json.loads(paths.bootstrap.read_text())
    assert bootstrap["admin"]["address"]["pipe"] == {"path": str(paths.admin), "mode": 0o600}


def test_model_servers_that_are_known_stay_when_the_gateway_is_built_again(tmp_path):
    options = Options(out=tmp_path, upstreams=SOCKETS)
    paths = write_config(options)
    paths.model_servers.write_text('{"resources": ["mine"]}')
    write_config(options)
    assert "mine" in paths.model_servers.read_text()


def test_the_document_has_the_prefix_and_the_version(tmp_path):
    paths = write_config(Options(out=tmp_path, upstreams=SOCKETS, api_prefix="/x", version="9.9"))
    document = json.loads(paths.openapi.read_text())
    assert document["info"]["version"] == "9.9"
    assert "/x/training/jobs" in document["paths"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"upstreams": {"gpu": ("a:1",)}}, "no address of training, deploy"),
        ({"upstreams": {**SOCKETS, "gpu": ("nonsense",)}}, "nonsense"),
        ({"upstreams": SOCKETS, "port": 0}, "port: must be from 1 to 65535"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path, more, message):
    with pytest.raises(ValueError, match=message):
        write_config(Options(out=tmp_path, **more))


def test_the_names_of_the_suite():
    options = Options(out=None, upstreams=SOCKETS, host="192.0.2.7", host_names=("GPU-Box", "fd00::2"))
    assert options.domains == ("localhost", "127.0.0.1", "[::1]", "192.0.2.7", "gpu-box", "[fd00::2]")


@given(st.ip_addresses(v=6))
def test_addresses_of_six_are_in_brackets(address):
    assert as_domain(str(address)) == f"[{address}]"


def test_a_gateway_that_is_open_to_the_network_knows_the_names_of_its_machine(monkeypatch, tmp_path):
    monkeypatch.setattr("socket.gethostname", lambda: "gpu-box")
    settings = GatewaySettings(swiftlet_home=tmp_path, app_host="0.0.0.0", gateway_allowed_hosts="a, b")
    assert {"gpu-box", "127.0.0.1", "a", "b"} <= set(settings.options().domains)
    closed = GatewaySettings(swiftlet_home=tmp_path, app_host="localhost").options()
    assert closed.domains == ("localhost", "127.0.0.1", "[::1]")


def test_services_are_found_in_the_home_or_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("GPU_ADDRESS", "gpu:50051")
    monkeypatch.setenv("TRAINING_LISTEN", "unix:/t.sock")
    monkeypatch.setenv("CORS_ALLOW_ORIGINS", "https://a.example,https://b.example")
    options = GatewaySettings(swiftlet_home=tmp_path).options()
    assert options.upstreams == {
        "gpu": ("gpu:50051",),
        "training": ("unix:/t.sock",),
        "deploy": (f"unix:{tmp_path}/run/deploy.sock",),
    }
    assert options.cors_origins == ("https://a.example", "https://b.example")
    assert options.out == tmp_path / "run" / "gateway"


def test_every_error_of_the_gateway_has_a_reason_of_the_catalogue():
    from swiftlet.error.v1.reason_pb2 import Reason

    formats = [mapper["body_format_override"] for mapper in local_reply_config(1)["mappers"]]
    reasons = {
        detail["reason"]
        for form in formats
        if "json_format" in form
        for detail in form["json_format"]["details"]
    }
    assert reasons <= {name.removeprefix("REASON_") for name in Reason.keys()}  # noqa: SIM118 - not a dict
    assert "LIMIT_REACHED" in reasons
