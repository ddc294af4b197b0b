"""The OpenAPI 3.1 document of the admin API, made of its operations and their structs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from tallygate.gateway.admin.operations import Operation
from tallygate.gateway.admin.schemas import Problem
from tallygate.tally import package_version

REFERENCE = "#/components/schemas/{name}"
_IN_PATH = re.compile(r"\{(\w+)\}")
DESCRIPTION = """\
Users, API keys and credits of a Tallygate gateway. Money is in USD, as text that nothing rounds. Lists come in pages:
`next` of one is `after` of the next. Fields that a change leaves out stay as they are; null takes a limit away. What is
wrong is told as in RFC 9457, with the field, its value and what mends it."""


def openapi(operations: Sequence[Operation]) -> dict[str, Any]:
    """The document, as plain dictionaries and lists."""
    structs: list[Any] = [Problem]
    for one in operations:
        structs += [kind for kind in (one.answer, one.body) if kind is not None]
    _, components = msgspec.json.schema_components(structs, ref_template=REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tallygate admin API", "version": package_version(), "description": DESCRIPTION},
        "security": [{"adminKey": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "adminKey": {"type": "http", "scheme": "bearer", "description": "the key of accounts.admin_key"}
            },
        },
    }


def _operation(one: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": list(_parameters(one)),
        "responses": {str(one.status): _answer(HTTPStatus(one.status).phrase, "application/json", one.answer)},
    }
    if one.body is not None:
        content = {"application/json": {"schema": _reference(one.body)}}
        described["requestBody"] = {"required": one.body_required, "content": content}
    for status in (400, 401, 404, *((409,) if one.conflicts else ()), *((408, 413) if one.body else ()), 503):
        phrase = HTTPStatus(status).phrase
        described["responses"][str(status)] = _answer(phrase, "application/problem+json", Problem)
    return described


def _parameters(one: Operation) -> Iterator[dict[str, Any]]:
    for name in _IN_PATH.findall(one.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    if one.query is not None:
        described = msgspec.json.schema(one.query)["$defs"][one.query.__name__]
        for name, schema in described["properties"].items():
            yield {"name": name, "in": "query", "required": name in described.get("required", ()), "schema": schema}
    if one.idempotent:
        yield {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "the same request sent again under it is done once",
            "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        }


def _answer(phrase: str, media_type: str, kind: type[msgspec.Struct]) -> dict[str, Any]:
    return {"description": phrase, "content": {media_type: {"schema": _reference(kind)}}}


def _reference(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=kind.__name__)}
