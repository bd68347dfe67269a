"""The filter that turns REST into gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from swiftlet_gateway.options import Options
from swiftlet_gateway.rpcs import SERVICES

TRANSCODER = "envoy.filters.http.grpc_json_transcoder"
LUA = "envoy.filters.http.lua"
# How a filter is switched off on a route.
OFF = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True, "config": {}}


def descriptor_path(options: Options) -> Path:
    """Where the descriptor set is."""
    return options.out / "protos.binpb"


def transcoder(options: Options, *, streams: bool = False) -> dict[str, Any]:
    """The filter's configuration; `streams` prints the messages of a stream as server-sent events."""
    kind = "envoy.extensions.filters.http.grpc_json_transcoder.v3.GrpcJsonTranscoder"
    return {
        "@type": f"type.googleapis.com/{kind}",
        "proto_descriptor": str(descriptor_path(options)),
        "services": [service.full_name for service in SERVICES],
        "convert_grpc_status": True,
        "case_insensitive_enum_parsing": True,
        "query_param_unescape_plus": True,
        "print_options": {
            "preserve_proto_field_names": True,
            "always_print_primitive_fields": True,
            "stream_sse_style_delimited": streams,
        },
        "request_validation_options": {
            "reject_unknown_method": True,
            "reject_unknown_query_parameters": True,
        },
        "max_request_body_size": options.max_body_bytes,
        "max_response_body_size": options.max_answer_bytes,
    }
