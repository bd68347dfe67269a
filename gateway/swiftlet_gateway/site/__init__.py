"""The pages of the gateway itself: what this is, and the documentation. No request goes to another host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from swiftlet_gateway.options import Options
from swiftlet_gateway.transcoder import OFF, TRANSCODER

HERE = Path(__file__).parent
# The documentation page runs its own scripts and talks to this host only.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
ASSETS = {
    "/docs/docs.js": (HERE / "docs.js", "text/javascript; charset=utf-8"),
    "/docs/swagger-ui.css": (HERE / "vendor" / "swagger-ui.css", "text/css; charset=utf-8"),
    "/docs/swagger-ui-bundle.js": (
        HERE / "vendor" / "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
    ),
}


def openapi_path(options: Options) -> Path:
    """Where the OpenAPI document of this suite is."""
    return options.out / "openapi.json"


def info(options: Options) -> dict[str, Any]:
    """What `/` and `/info` answer."""
    return {
        "name": "swiftlet",
        "description": "Fine-tunes and serves language models on the GPUs that a team owns.",
        "version": options.version,
        "links": {
            "docs": "/docs",
            "openapi": "/openapi.json",
            "health": f"{options.api_prefix}/training/health",
            "training_jobs": f"{options.api_prefix}/training/jobs",
            "deployments": f"{options.api_prefix}/deploy/jobs",
            "gpus": f"{options.api_prefix}/training/gpus",
            "queue": f"{options.api_prefix}/training/queue",
        },
    }


def site_routes(options: Options) -> list[dict[str, Any]]:
    """Routes that are answered out of files and constants."""
    about = {"inline_string": json.dumps(info(options))}
    document = {"filename": str(openapi_path(options))}
    page = {"filename": str(HERE / "docs.html")}
    return [
        *(_page(path, about, "application/json") for path in ("/", "/info")),
        _page("/openapi.json", document, "application/json"),
        *(_page(path, page, "text/html; charset=utf-8", DOCS_POLICY) for path in ("/docs", "/docs/")),
        *(_page(path, {"filename": str(file)}, kind) for path, (file, kind) in ASSETS.items()),
    ]


def _page(path: str, body: dict[str, str], content_type: str, policy: str = "") -> dict[str, Any]:
    headers = {"content-type": content_type, "content-security-policy": policy}
    return {
        "match": {
            "path": path,
            "headers": [{"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}],
        },
        "direct_response": {"status": 200, "body": body},
        "response_headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in headers.items()
            if value
        ],
        "typed_per_filter_config": {TRANSCODER: OFF},
    }
