"""The document: a path for each REST form of each RPC."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from swiftlet_gateway.openapi.examples import ANSWERS, BODIES, ERRORS
from swiftlet_gateway.openapi.schemas import Schemas, reference
from swiftlet_gateway.rpcs import HTTP_BODY, SERVICES, Binding, Rpc, rpcs, upstream

TAGS = {"training": "Training", "gpu": "GPUs and queue", "deploy": "Deployments"}
ERROR = {
    "type": "object",
    "description": "What went wrong, and what to do about it.",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer", "minimum": 1, "maximum": 16, "description": "Code of gRPC."},
        "message": {"type": "string", "description": "One or more sentences for people."},
        "details": {
            "type": "array",
            "description": "A google.rpc.ErrorInfo with a stable `reason`, a google.rpc.BadRequest where "
            "fields are at fault, a google.rpc.RetryInfo where it helps to wait.",
            "items": {"type": "object", "required": ["@type"], "properties": {"@type": {"type": "string"}}},
        },
    },
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "For seven days a repeated request with the same key does nothing more and gets the first"
    " one's answer; another request with it is refused.",
    "schema": {"type": "string", "maxLength": 128},
}
# Answers with their ordinary body under another code.
UNHEALTHY = {"GetHealth": ("503", "A part of the suite is down.")}
PROBLEMS = {
    "400": "A field, a parameter or the state of the resource doesn't fit; the details say which.",
    "404": "There is no such resource.",
    "409": "The id is taken, or somebody changed the resource at the same time.",
    "413": "The body is too long.",
    "415": "The body isn't declared as application/json.",
    "default": "Any other error.",
}


def build(comments: Mapping[str, str]) -> dict[str, Any]:
    """The document, from the comments of the protos and the descriptors that are compiled in."""
    schemas, calls = Schemas(comments), rpcs()
    schemas.components["Error"] = ERROR
    for rpc in calls:  # bodies first, see Schemas
        if any(binding.body for binding in rpc.bindings):
            schemas.add(rpc.request, body=True, in_path=_in_any_path(rpc))
    paths: dict[str, dict[str, Any]] = {}
    for rpc in calls:
        for number, binding in enumerate(rpc.bindings, 1):
            operation = _operation(rpc, binding, number, schemas)
            paths.setdefault(binding.path, {})[binding.verb.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Swiftlet",
            "version": "v1",
            "summary": "Fine-tune and serve language models on the GPUs that a team owns.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": TAGS[upstream(service)], "description": schemas.comment(service.full_name)}
            for service in SERVICES
        ],
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.components.items())), "responses": _problems()},
    }


def _operation(rpc: Rpc, binding: Binding, number: int, schemas: Schemas) -> dict[str, Any]:
    comment = schemas.comment(f"{rpc.service}.{rpc.name}")
    name = f"{rpc.service.rpartition('.')[2]}_{rpc.name}"
    operation: dict[str, Any] = {
        "operationId": name if number == 1 else f"{name}_{number}",
        "summary": comment.partition(". ")[0].rstrip("."),
        "description": comment,
        "tags": [TAGS[rpc.upstream]],
        "parameters": _parameters(rpc, binding, schemas),
    }
    if binding.body:
        operation["requestBody"] = _request_body(rpc, schemas)
    return {**operation, "responses": {**_success(rpc, schemas), **_failures(rpc, binding)}}


def _parameters(rpc: Rpc, binding: Binding, schemas: Schemas) -> list[dict[str, Any]]:
    found = []
    for field in rpc.request.fields:
        if field.name in binding.variables:
            if f"{{{field.name}}}" in binding.path:
                found.append(_parameter(field, "path", schemas))
        elif not binding.body:
            found.append(_parameter(field, "query", schemas))
    return [*found, IDEMPOTENCY_KEY] if "request_id" in rpc.request.fields_by_name else found


def _parameter(field: FieldDescriptor, place: str, schemas: Schemas) -> dict[str, Any]:
    required = place == "path" or schemas.is_required(field)
    return {
        "name": field.name,
        "in": place,
        "required": required,
        "description": schemas.description(field),
        "schema": schemas.parameter(field),
    }


def _in_any_path(rpc: Rpc) -> set[str]:
    return {name for binding in rpc.bindings for name in binding.variables}


def _request_body(rpc: Rpc, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.add(rpc.request, body=True)
    required = bool(schemas.components[rpc.request.name]["required"])
    content = {"schema": schema, **_examples(BODIES.get(rpc.request.name))}
    return {"required": required, "content": {"application/json": content}}


def _success(rpc: Rpc, schemas: Schemas) -> dict[str, Any]:
    if rpc.success == 204:
        return {"204": {"description": "Done."}}
    if rpc.response.full_name == HTTP_BODY:
        return {"200": {"description": "Text.", "content": {"text/plain": {"schema": {"type": "string"}}}}}
    schema = schemas.add(rpc.response, body=False)
    about = schemas.comment(rpc.response.full_name)
    if rpc.streaming:
        return {"200": _events(rpc, about)}
    content = {"application/json": {"schema": schema, **_examples(ANSWERS.get(rpc.response.name))}}
    answers = {str(rpc.success): {"description": about, "content": content}}
    if rpc.name in UNHEALTHY:
        code, why = UNHEALTHY[rpc.name]
        answers[code] = {"description": why, "content": content}
    return answers


def _events(rpc: Rpc, about: str) -> dict[str, Any]:
    """OpenAPI 3.1 has no schema for the single events of a stream, so it is only named."""
    text = f"{about} Server-sent events: each has a `{rpc.response.name}` as JSON in one `data:` line."
    schema = {"type": "string", "contentMediaType": "text/event-stream"}
    named = {"schema": schema, "x-event-schema": reference(rpc.response.name)}
    return {"description": text, "content": {"text/event-stream": named}}


def _failures(rpc: Rpc, binding: Binding) -> dict[str, Any]:
    codes = ["400"]
    codes += ["404"] if binding.variables else []
    codes += ["409"] if binding.verb != "GET" else []
    codes += ["413", "415"] if binding.body else []
    return {code: {"$ref": f"#/components/responses/{_problem(code)}"} for code in [*codes, "default"]}


def _problem(code: str) -> str:
    return f"Error{code}" if code.isdecimal() else "Error"


def _problems() -> dict[str, Any]:
    content = {"schema": reference("Error"), **_examples(ERRORS)}
    return {
        _problem(code): {"description": why, "content": {"application/json": content}}
        for code, why in PROBLEMS.items()
    }


def _examples(named: Mapping[str, Any] | None) -> dict[str, Any]:
    if not named:
        return {}
    return {
        "examples": {
            name.replace(" ", "_"): {"summary": name, "value": value} for name, value in named.items()
        }
    }
