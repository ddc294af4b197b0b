"""The OpenAPI document is valid and true: schemathesis asks whatever it allows, and much that it does not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import AuthContext, Case

from tallygate.gateway.admin.app import OPERATIONS
from tallygate.gateway.admin.openapi import openapi
from tests.gateway.admin.asking import ADMIN_KEY, Admin, administered
from tests.gateway.threads import in_a_thread

DOCUMENT = openapi(OPERATIONS)
schema = schemathesis.openapi.from_dict(DOCUMENT)


@schema.auth()
class Key:
    """The admin key, where a request is to have it."""

    def get(self, case: Case[Any], context: AuthContext) -> str:
        return ADMIN_KEY

    def set(self, case: Case[Any], data: str, context: AuthContext) -> None:
        case.headers["Authorization"] = f"Bearer {data}"


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


def test_every_operation_is_told_once() -> None:
    told = [
        (method.upper(), path, what["operationId"])
        for path, methods in DOCUMENT["paths"].items()
        for method, what in methods.items()
    ]
    assert sorted(told) == sorted((one.method, one.path, one.name) for one in OPERATIONS)
    assert len({name for _, _, name in told}) == len(told)


def test_money_is_told_as_text() -> None:
    money = DOCUMENT["components"]["schemas"]["User"]["properties"]["balance"]
    assert money["type"] == "string"
    assert re.match(money["pattern"], "-0.00000000001")


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Admin]:
    with in_a_thread(lambda: administered(tmp_path_factory.mktemp("openapi"))) as api:
        yield api


async def test_it_is_served(tmp_path: Path) -> None:
    async with administered(tmp_path) as api:
        assert await api.ask("GET", "/openapi.json") == DOCUMENT


@schema.parametrize()
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_asked_the_answer_is_as_the_document_says(case: Case[Any], admin: Admin) -> None:
    """No 500, no status, header or body but those that the document tells of."""
    case.call_and_validate(
        base_url=admin.running.url,
        excluded_checks=[schemathesis.checks.positive_data_acceptance],
    )
