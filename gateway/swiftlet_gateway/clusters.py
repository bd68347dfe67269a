"""Where the gateway sends requests: one cluster for each service, and the model servers by file."""

from __future__ import annotations

from typing import Any

from swiftlet_gateway.options import Options
from swiftlet_gateway.rpcs import SERVICES, upstream

HTTP = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def clusters(options: Options) -> list[dict[str, Any]]:
    """One cluster for each service."""
    return [
        _cluster(upstream(service), service.full_name, options.upstreams[upstream(service)])
        for service in SERVICES
    ]


def _cluster(name: str, service: str, addresses: tuple[str, ...]) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": _address(address)}} for address in addresses]
    return {
        "name": name,
        # Names of containers can get another address while the gateway runs.
        "type": "STATIC" if all(_is_unix(address) for address in addresses) else "STRICT_DNS",
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        # A host that went away is out at once, and a request is never sent to one in the hope that it lives.
        "common_lb_config": {"update_merge_window": "0s", "healthy_panic_threshold": {"value": 0}},
        "health_checks": [_health_check(service)],
        "circuit_breakers": {"thresholds": [{"max_requests": 8192, "max_pending_requests": 1024}]},
        "typed_extension_protocol_options": {HTTP: _http2()},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }


def _health_check(service: str) -> dict[str, Any]:
    return {
        "timeout": "1s",
        "interval": "2s",
        "no_traffic_healthy_interval": "2s",
        # A service that comes up is found at once, also before the first request.
        "no_traffic_interval": "0.25s",
        "unhealthy_interval": "0.25s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "grpc_health_check": {"service_name": service},
    }


def _http2() -> dict[str, Any]:
    return {
        "@type": f"type.googleapis.com/{HTTP}",
        "explicit_http_config": {
            "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}
        },
    }


def _is_unix(address: str) -> bool:
    return address.startswith("unix:")


def _address(address: str) -> dict[str, Any]:
    if _is_unix(address):
        return {"pipe": {"path": address.removeprefix("unix:").removeprefix("//")}}
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f'an address is "unix:/path" or "host:port", not {address!r}')
    return {"socket_address": {"address": host.strip("[]"), "port_value": int(port)}}
