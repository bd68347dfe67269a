"""Envoy, configured by `swiftlet_gateway`."""

from __future__ import annotations

from dataclasses import replace

from swiftletd.suite.home import Home
from swiftletd.suite.plan import Program, Readiness
from swiftletd.suite.settings import SERVICES, UpSettings

MARGIN = 5.0  # seconds after which the gateway gives up on a service whose own time limit has passed


def envoy(settings: UpSettings, home: Home) -> Program:
    """How to run it. Writes its configuration."""
    from swiftlet_gateway import command, write_config
    from swiftlet_gateway.settings import load

    gateway = load()  # what only it knows: allowed hosts, origins, limits
    options = replace(
        gateway.options(home.gateway),
        upstreams={name: (settings.address(name),) for name in SERVICES},
        host=settings.app_host,
        port=settings.app_port,
        api_prefix=settings.api_prefix,
        request_timeout=settings.request_timeout + MARGIN,
    )
    # Answered by the training service from memory: healthy means that requests come through.
    page = f"http://{settings.authority}{settings.api_prefix}/training/supported-types"
    return Program(
        name="envoy",
        argv=tuple(command(write_config(options).bootstrap, workers=gateway.gateway_workers)),
        ready=Readiness(kind="http", address=page),
        after=SERVICES,
    )
