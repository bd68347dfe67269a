"""The errors that Envoy answers by itself, in the form of all others: {code, message, details}."""

from __future__ import annotations

from typing import Any

REST = "x-swiftlet-rest"  # set by lua/request.lua on what isn't gRPC
SERVE = "x-swiftlet-serve"  # set by lua/request.lua on what goes to a model server
REFUSED = "x-swiftlet-refused"  # tells lua/response.lua to look for the field at fault
PATH = "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"
BODY = "%LOCAL_REPLY_BODY%"
DOWN = f"{{}} is starting, stopping or down ({BODY}). Try again in a moment."
HOST = "This suite is not known as %REQ(:AUTHORITY)%. If it should be, add that to GATEWAY_ALLOWED_HOSTS."


def local_reply_config(max_body_bytes: int) -> dict[str, Any]:
    """The first mapper that fits a reply writes its body. Replies below 400 stay as they are."""
    return {
        "mappers": [
            *_native_grpc(),
            *_for_model_servers(),
            *_by_status(max_body_bytes),
        ]
    }


def _native_grpc() -> list[dict[str, Any]]:
    """A gRPC client reads the sentence from a header, so it must stay one."""
    is_grpc = (_header("content-type", string_match={"prefix": "application/grpc"}), _absent(REST))
    texts = {503: DOWN.format("The service"), 421: HOST, 404: f"There is no method {PATH}."}
    return [
        {
            "filter": _all(*is_grpc, *([_status(status)] if status else [])),
            "body_format_override": {"text_format_source": {"inline_string": text}},
        }
        for status, text in (texts | {0: BODY}).items()
    ]


def _for_model_servers() -> list[dict[str, Any]]:
    there_is_none = f"There is no model server at {PATH}. GET /api/v1/deploy/jobs lists the deployments."
    no_answer = (
        f"The model server does not answer ({BODY}). Look at the status and the log of the deployment."
    )
    metadata = {"dependency": "model server"}
    return [
        _mapper(404, 5, "NOT_FOUND", there_is_none, {"resource": "deployment", "id": PATH}, present=SERVE),
        _mapper(503, 14, "DEPENDENCY_UNAVAILABLE", no_answer, metadata, present=SERVE),
    ]


def _by_status(max_body_bytes: int) -> list[dict[str, Any]]:
    odd = "This is not a valid HTTP request (%RESPONSE_CODE_DETAILS%)."
    unknown = f"There is no {PATH}. /docs lists all calls."
    verb = f"%REQ(:METHOD)% is not a method of {PATH}; the Allow header has those that are."
    long = f"The body is longer than {max_body_bytes} bytes. Send less."
    late = "There was no answer in time. What was asked for may still happen: read before you repeat."
    slow = "The request took too long to arrive. Send it again."
    ours = f"Something went wrong on our side ({BODY}). The log of the gateway has it."
    limit = {"limit": str(max_body_bytes), "what": "bytes of a body"}
    return [
        _mapper(400, 3, "INVALID_ARGUMENT", BODY, {}, present=REST, add={REFUSED: "1"}),
        _mapper(400, 3, "INVALID_ARGUMENT", odd, {}),
        _mapper(403, 7, "INVALID_ARGUMENT", BODY, {}, add={REFUSED: "1"}),
        _mapper(404, 5, "NOT_FOUND", unknown, {"resource": "path", "id": PATH}),
        _mapper(405, 12, "UNSUPPORTED", verb, {"field": "method", "value": "%REQ(:METHOD)%"}),
        _mapper(408, 3, "INVALID_ARGUMENT", slow, {}),
        _mapper(413, 8, "LIMIT_REACHED", long, limit),
        _mapper(415, 3, "INVALID_ARGUMENT", BODY, {}, add={REFUSED: "1"}),
        _mapper(
            431, 8, "LIMIT_REACHED", "The headers are too long. Send less.", {"what": "bytes of headers"}
        ),
        _mapper(421, 3, "INVALID_ARGUMENT", HOST, {"field": "host"}),
        _mapper(
            503,
            14,
            "DEPENDENCY_UNAVAILABLE",
            DOWN.format(f"The service for {PATH}"),
            {"dependency": "%UPSTREAM_CLUSTER%"},
            add={"retry-after": "1"},
        ),
        _mapper(504, 4, "DEADLINE_EXCEEDED", late, {}),
        _mapper(500, 13, "INTERNAL", ours, {}),
        _mapper(400, 2, "INTERNAL", BODY, {}, at_least=True),
    ]


def _mapper(
    status: int,
    code: int,
    reason: str,
    message: str,
    metadata: dict[str, str],
    *,
    present: str = "",
    add: dict[str, str] | None = None,
    at_least: bool = False,
) -> dict[str, Any]:
    about = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "swiftlet"}
    conditions = [_status(status, "GE" if at_least else "EQ")]
    conditions += [_header(present, present_match=True)] if present else []
    return {
        "filter": _all(*conditions),
        "headers_to_add": [{"header": {"key": key, "value": value}} for key, value in (add or {}).items()],
        "body_format_override": {
            "json_format": {"code": code, "message": message, "details": [{**about, "metadata": metadata}]}
        },
    }


def _status(status: int, op: str = "EQ") -> dict[str, Any]:
    comparison = {"op": op, "value": {"default_value": status, "runtime_key": "none"}}
    return {"status_code_filter": {"comparison": comparison}}


def _all(*filters: dict[str, Any]) -> dict[str, Any]:
    return {"and_filter": {"filters": list(filters)}} if len(filters) > 1 else filters[0]


def _header(name: str, **match: Any) -> dict[str, Any]:
    return {"header_filter": {"header": {"name": name, **match}}}


def _absent(name: str) -> dict[str, Any]:
    return _header(name, present_match=True, invert_match=True)
