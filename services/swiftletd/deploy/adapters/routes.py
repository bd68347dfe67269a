"""Tells the gateway where the model servers are, in the file that Envoy watches.

Envoy sends /serve/<deployment>/... to the cluster "serve_<deployment>"; a deployment is reachable as long as
its cluster is in the file. The file is whole at any moment, and what it says outlives both processes.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


@dataclass(frozen=True, slots=True, order=True)
class ModelServer:
    """A model server that answers. Of several for one deployment, each gets its share by `weight`."""

    deployment: str
    port: int
    host: str = "127.0.0.1"
    weight: int = 1


def publish(path: Path, servers: Iterable[ModelServer]) -> bool:
    """Make `servers` the ones that the gateway sends requests to. False where the file says so already."""
    content = json.dumps(document(servers), indent=1).encode()
    if path.exists() and path.read_bytes() == content:
        return False
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    return True


def document(servers: Iterable[ModelServer]) -> dict[str, Any]:
    """The file's content: Envoy's CDS response. The same servers give the same document."""
    by_deployment: defaultdict[str, list[ModelServer]] = defaultdict(list)
    for server in sorted(set(servers)):
        by_deployment[server.deployment].append(server)
    resources = [_cluster(deployment, replicas) for deployment, replicas in by_deployment.items()]
    digest = hashlib.sha256(json.dumps(resources).encode()).hexdigest()
    return {"version_info": digest[:16], "resources": resources}


def _cluster(deployment: str, servers: Iterable[ModelServer]) -> dict[str, Any]:
    name = f"serve_{deployment}"
    return {
        "@type": CLUSTER,
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(server) for server in servers]}],
        },
    }


def _endpoint(server: ModelServer) -> dict[str, Any]:
    address = {"socket_address": {"address": server.host, "port_value": server.port}}
    return {"endpoint": {"address": address}, "load_balancing_weight": {"value": server.weight}}
