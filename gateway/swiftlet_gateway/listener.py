"""The one port: what a request goes through, and the limits that it meets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swiftlet_gateway.hints import lua_hints
from swiftlet_gateway.lua import read
from swiftlet_gateway.options import Options
from swiftlet_gateway.replies import local_reply_config
from swiftlet_gateway.routes import CORS, route_table
from swiftlet_gateway.rpcs import Rpc
from swiftlet_gateway.transcoder import LUA, TRANSCODER, transcoder

FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
MANAGER = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


def listener(rpcs: Sequence[Rpc], options: Options) -> dict[str, Any]:
    """Envoy's Listener on host and port."""
    return {
        "name": "gateway",
        "address": {"socket_address": {"address": options.host, "port_value": options.port}},
        "per_connection_buffer_limit_bytes": 4 * 1024 * 1024,
        "filter_chains": [
            {
                "filters": [
                    {
                        "name": "envoy.filters.network.http_connection_manager",
                        "typed_config": _manager(rpcs, options),
                    }
                ]
            }
        ],
    }


def _manager(rpcs: Sequence[Rpc], options: Options) -> dict[str, Any]:
    return {
        "@type": f"type.googleapis.com/{MANAGER}",
        "stat_prefix": "gateway",
        "use_remote_address": True,
        # Nobody is internal: no client may steer Envoy by x-envoy-* headers.
        "internal_address_config": {
            "cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": {"value": 32}}]
        },
        "server_name": "swiftlet",
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "preserve_external_request_id": True,
        "always_set_request_id_in_response": True,
        **_limits(options),
        "local_reply_config": local_reply_config(options.max_body_bytes),
        "route_config": route_table(rpcs, options),
        "http_filters": _filters(options),
        "access_log": _access_log(options),
    }


def _limits(options: Options) -> dict[str, Any]:
    return {
        "max_request_headers_kb": 32,
        "request_headers_timeout": "10s",
        "request_timeout": "60s",
        "stream_idle_timeout": f"{options.idle_timeout}s",
        "delayed_close_timeout": "1s",
        "common_http_protocol_options": {
            "idle_timeout": f"{options.idle_timeout}s",
            "max_headers_count": 100,
            "headers_with_underscores_action": "ALLOW",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 256,
            "initial_stream_window_size": 256 * 1024,
            "initial_connection_window_size": 1024 * 1024,
        },
    }


def _filters(options: Options) -> list[dict[str, Any]]:
    """In the order in which a request meets them; an answer meets them in the other."""
    return [
        _filter("envoy.filters.http.header_mutation", "header_mutation.v3.HeaderMutation", _headers()),
        *([_filter(CORS, "cors.v3.Cors", {})] if options.cors_origins else []),
        _filter("envoy.filters.http.grpc_web", "grpc_web.v3.GrpcWeb", {}),
        _filter(LUA, "lua.v3.Lua", {"default_source_code": {"inline_string": _script(options)}}),
        {"name": TRANSCODER, "typed_config": transcoder(options)},
        _filter("envoy.filters.http.router", "router.v3.Router", {"suppress_envoy_headers": True}),
    ]


def _filter(name: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": f"{FILTERS}.{kind}", **config}}


def _headers() -> dict[str, Any]:
    added = [
        {"append": {"header": {"key": key, "value": value}, "append_action": "ADD_IF_ABSENT"}}
        for key, value in HEADERS.items()
    ]
    return {"mutations": {"response_mutations": added}}


def _script(options: Options) -> str:
    return "\n".join([lua_hints(options.cors_origins), read("request"), read("response")])


def _access_log(options: Options) -> list[dict[str, Any]]:
    if options.access_log is None:
        return []
    fields = {
        "time": "%START_TIME%",
        "method": "%REQ(:METHOD)%",
        "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
        "status": "%RESPONSE_CODE%",
        "ms": "%DURATION%",
        "sent": "%BYTES_SENT%",
        "upstream": "%UPSTREAM_CLUSTER%",
        "flags": "%RESPONSE_FLAGS%",
        "request_id": "%REQ(X-REQUEST-ID)%",
    }
    kind = "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog"
    config = {"@type": kind, "path": str(options.access_log), "log_format": {"json_format": fields}}
    return [{"name": "envoy.access_loggers.file", "typed_config": config}]
