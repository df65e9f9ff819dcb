"""The OpenAPI 3.1 document of the admin API, made of the table of routes and of the types that it names."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from jotgate import __version__
from jotgate.control.admin.guard import scope_of
from jotgate.control.admin.reading import ETAG_PATTERN, LIMIT_MAX
from jotgate.control.admin.shapes import AdminRoute, Window
from jotgate.core.problem_details import PROBLEM_TYPE, ProblemDetail
from jotgate.core.scopes import ADMIN_SCOPES

_REF: Final = "#/components/schemas/{name}"
_JSON: Final = "application/json"
_KEY_HEADER: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A repeat with the same key, within 24 hours, is answered as the first and not done again.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}
_MATCH_HEADER: Final = {
    "name": "If-Match",
    "in": "header",
    "description": "The ETag of the version that is to be changed; `*`: whatever is there.",
    "schema": {"type": "string", "pattern": f"^(\\*|{ETAG_PATTERN})$"},
}
_WORDS: Final = {
    400: "The request is malformed.",
    401: "The token is missing or refused.",
    403: "The token's scopes do not cover this.",
    404: "There is no record of this name.",
    409: "Things as they are forbid it, or a repeat cannot be answered.",
    412: "The record is of another version.",
    413: "The body is too long.",
    415: "The body is not plain JSON.",
    422: "What the body says cannot be kept, or the Idempotency-Key was used for something else.",
    428: "If-Match is missing.",
    500: "jotgate failed.",
    503: "The answer cannot be known now.",
}


def describe(routes: Sequence[AdminRoute], prefix: str) -> dict[str, Any]:
    """The document, as what JSON is made of."""
    kinds = [route.answer for route in routes if route.answer is not None]
    kinds += [route.body for route in routes if route.body is not None]
    _, components = msgspec.json.schema_components([*kinds, ProblemDetail], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(prefix + route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jotgate admin API",
            "version": __version__,
            "description": "See docs/admin-api.md.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": f"An access token of this installation; scopes: {', '.join(sorted(ADMIN_SCOPES))}.",
                }
            },
        },
        "security": [{"token": []}],
    }


def statuses_of(route: AdminRoute) -> list[int]:
    """The statuses with which a route may refuse."""
    found = {400, 401, 403, 500, 503}
    if route.names:
        found.add(404)
    if route.guarded:
        found.add(428)
    if route.changes:
        found |= {409, 412, 413}
    if route.body is not None:
        found |= {415, 422}
    if route.method == "POST":
        found.add(422)
    return sorted(found)


def _operation(route: AdminRoute) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "description": f"Needs the scope `{scope_of(route)}` or `admin:*`.",
        "tags": [route.noun or "about"],
        "parameters": list(_parameters(route)),
        "responses": {str(route.status): _good(route)}
        | {
            str(status): {
                "description": _WORDS[status],
                "content": {PROBLEM_TYPE: {"schema": {"$ref": _REF.format(name=ProblemDetail.__name__)}}},
            }
            for status in statuses_of(route)
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {_JSON: {"schema": _schema(route.body)}}}
    return operation


def _parameters(route: AdminRoute) -> Iterator[dict[str, Any]]:
    for name in route.names:
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    for one in route.filters:
        schema = {"type": "string", "minLength": 1}
        yield {"name": one.name, "in": "query", "required": False, "description": one.summary, "schema": schema}
    if route.paged:
        limit = {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": Window().limit}
        yield {"name": "limit", "in": "query", "required": False, "schema": limit}
        cursor = {"type": "string", "minLength": 1}
        about = "The `next_cursor` of the part before."
        yield {"name": "cursor", "in": "query", "required": False, "description": about, "schema": cursor}
    if route.versioned:
        yield {**_MATCH_HEADER, "required": route.guarded}
    if route.method == "POST":
        yield _KEY_HEADER


def _good(route: AdminRoute) -> dict[str, Any]:
    if route.answer is None:
        return {"description": "Done; there is nothing to say."}
    good: dict[str, Any] = {
        "description": "Done; the secret in this answer is shown once." if route.secret else "Done.",
        "content": {_JSON: {"schema": _schema(route.answer)}},
    }
    if route.tagged:
        good["headers"] = {"ETag": {"description": "The version of the record.", "schema": {"type": "string"}}}
    return good


def _schema(kind: Any) -> Any:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_REF)
    return schema
