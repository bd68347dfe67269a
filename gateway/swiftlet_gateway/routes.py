"""The route table.

A REST request is matched twice: by its own path, which picks the options of the transcoder, and then by
the path of its RPC, which picks the service, the deadline and the success code. Native gRPC comes in at
the second.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from swiftlet_gateway.options import Options
from swiftlet_gateway.replies import SERVE
from swiftlet_gateway.rpcs import SERVICES, Binding, Rpc, upstream
from swiftlet_gateway.site import site_routes
from swiftlet_gateway.transcoder import LUA, OFF, TRANSCODER, transcoder

CORS = "envoy.filters.http.cors"
CORS_HEADERS = (
    "content-type",
    "grpc-timeout",
    "idempotency-key",
    "x-grpc-web",
    "x-request-id",
    "x-user-agent",
)
IS_GRPC = {"name": "content-type", "string_match": {"prefix": "application/grpc"}}
# Sent again only where it can't have been done before.
SAFE_RETRY = {"retry_on": "connect-failure,refused-stream,reset-before-request", "num_retries": 2}
# Reads may be sent again in any case.
READ_RETRY = {
    "retry_on": "connect-failure,refused-stream,reset,unavailable",
    "num_retries": 2,
    "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.5s"},
}


def route_table(rpcs: Sequence[Rpc], options: Options) -> dict[str, Any]:
    """Envoy's RouteConfiguration."""
    suite: dict[str, Any] = {
        "name": "suite",
        "domains": ["*"] if "*" in options.domains else list(options.domains),
        "routes": [
            *_grpc_routes(rpcs, options),
            _serve_route(),
            *site_routes(options),
            *_rest_routes(rpcs, options),
            _not_found(),
        ],
    }
    if options.cors_origins:
        suite["typed_per_filter_config"] = {CORS: _cors_policy(options.cors_origins)}
    return {
        "name": "swiftlet",
        "ignore_port_in_host_matching": True,
        "max_direct_response_body_size_bytes": 8 * 1024 * 1024,
        "virtual_hosts": [suite] if "*" in options.domains else [suite, _strangers()],
    }


# --- By RPC -------------------------------------------------------------------------------------------------
def _grpc_routes(rpcs: Iterable[Rpc], options: Options) -> Iterator[dict[str, Any]]:
    for rpc in rpcs:
        yield _stream_route(rpc, options) if rpc.streaming else _unary_route(rpc, options)
    for service in SERVICES:
        yield _plain_grpc(f"/{service.full_name}/", upstream(service))  # the service refuses unknown methods
    yield _plain_grpc("/grpc.", "training")  # health and reflection


def _unary_route(rpc: Rpc, options: Options) -> dict[str, Any]:
    # Later than our own timeout, whose answer says what to do.
    deadline = f"{int((options.request_timeout + 0.5) * 1000)}m"
    return {
        **_to_rpc(rpc),
        "route": {
            "cluster": rpc.upstream,
            "timeout": f"{options.request_timeout}s",
            "retry_policy": READ_RETRY if rpc.is_read else SAFE_RETRY,
        },
        "request_headers_to_add": [
            {"header": {"key": "grpc-timeout", "value": deadline}, "append_action": "ADD_IF_ABSENT"}
        ],
    }


def _stream_route(rpc: Rpc, options: Options) -> dict[str, Any]:
    route = {"cluster": rpc.upstream, "timeout": "0s", "idle_timeout": f"{options.idle_timeout}s"}
    return {**_to_rpc(rpc), "route": {**route, "retry_policy": SAFE_RETRY}}


def _to_rpc(rpc: Rpc) -> dict[str, Any]:
    return {
        "name": rpc.name,
        "match": {"path": rpc.path, "headers": [IS_GRPC]},
        "metadata": {"filter_metadata": {LUA: {"success": str(rpc.success)}}},
    }


def _plain_grpc(prefix: str, cluster: str) -> dict[str, Any]:
    return {
        "match": {"prefix": prefix, "headers": [IS_GRPC]},
        "route": {"cluster": cluster, "timeout": "0s"},
    }


# --- By REST path -------------------------------------------------------------------------------------------
def _rest_routes(rpcs: Sequence[Rpc], options: Options) -> Iterator[dict[str, Any]]:
    streams = [binding for rpc in rpcs if rpc.streaming for binding in rpc.bindings]
    yield {
        "name": "streams",
        "match": _path_and_verb(streams, "GET"),
        "route": {"cluster": "training"},  # the RPC's route says where to; this one is never used
        "typed_per_filter_config": {TRANSCODER: transcoder(options, streams=True)},
    }
    calls = [binding for rpc in rpcs if not rpc.streaming for binding in rpc.bindings]
    for verb in sorted({binding.verb for binding in calls}):
        matching = [binding for binding in calls if binding.verb == verb]
        yield {"name": verb, "match": _path_and_verb(matching, verb), "route": {"cluster": "training"}}
    if (
        options.cors_origins
    ):  # a browser asks before it calls, and the CORS filter answers on a real route only
        match = _path_and_verb([*calls, *streams], "OPTIONS")
        yield {"name": "preflight", "match": match, "route": {"cluster": "training"}}
    yield from _wrong_verbs([*calls, *streams])


def _path_and_verb(bindings: Iterable[Binding], verb: str) -> dict[str, Any]:
    paths = "|".join(dict.fromkeys(binding.regex for binding in bindings))
    return {
        "safe_regex": {"regex": f"(?:{paths})"},
        "headers": [{"name": ":method", "string_match": {"exact": verb}}],
    }


def _wrong_verbs(bindings: Iterable[Binding]) -> Iterator[dict[str, Any]]:
    verbs: dict[str, set[str]] = defaultdict(set)
    for binding in bindings:
        verbs[binding.regex].add(binding.verb)
    for regex, allowed in verbs.items():
        yield {
            "match": {"safe_regex": {"regex": regex}},
            "direct_response": {"status": 405},
            "response_headers_to_add": [{"header": {"key": "allow", "value": ", ".join(sorted(allowed))}}],
            "typed_per_filter_config": {TRANSCODER: OFF},
        }


# --- The rest -----------------------------------------------------------------------------------------------
def _serve_route() -> dict[str, Any]:
    return {
        "name": "serve",
        "match": {"safe_regex": {"regex": r"/serve/[\w.-]+(?:/.*)?"}},
        "route": {
            "cluster_header": SERVE,
            "cluster_not_found_response_code": "NOT_FOUND",
            "regex_rewrite": {"pattern": {"regex": r"^/serve/[\w.-]+/?"}, "substitution": "/"},
            "timeout": "0s",
            "idle_timeout": "600s",
        },
        "typed_per_filter_config": {TRANSCODER: OFF},
    }


def _not_found() -> dict[str, Any]:
    return {
        "name": "unknown",
        "match": {"prefix": "/"},
        "direct_response": {"status": 404},
        "typed_per_filter_config": {TRANSCODER: OFF},
    }


def _strangers() -> dict[str, Any]:
    return {
        "name": "strangers",
        "domains": ["*"],
        "routes": [
            {
                "match": {"prefix": "/"},
                "direct_response": {"status": 421},
                "typed_per_filter_config": {TRANSCODER: OFF},
            }
        ],
    }


def _cors_policy(origins: Iterable[str]) -> dict[str, Any]:
    return {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [
            {"safe_regex": {"regex": ".*"}} if origin == "*" else {"exact": origin} for origin in origins
        ],
        "allow_methods": "GET, POST, DELETE",
        "allow_headers": ", ".join(CORS_HEADERS),
        "expose_headers": "x-request-id, retry-after, grpc-status, grpc-message, grpc-status-details-bin",
        "max_age": "600",
    }
