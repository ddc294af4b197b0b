"""Wrong set-up is told whole, with the argument, its value and the mend."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from tallygate.arguments import CHECKS, ArgumentError
from tallygate.tally import Tally

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"dialects": "otel"}, "Tally: dialects is 'otel'; give several in a list, as in ['tallygate', 'otel']"),
    ({"dialects": []}, "Tally: dialects is []; name at least one, as in ['tallygate']"),
    ({"custom_labels": "team"}, "Tally: custom_labels is 'team'; give several in a list, as in ['my-team']"),
    (
        {"custom_labels": ["team", 3]},
        "Tally: custom_labels is ['team', 3]; 3 in it is no name; give names, as in ['my-team']",
    ),
    (
        {"identities": ["user_id"]},
        "Tally: identities is ['user_id']; give names and texts, as in {'user_id': 'hashed'}",
    ),
    ({"path": 3}, "Tally: path is 3; give a path, or None"),
    ({"price_overrides": {"m": 1}}, "Tally: price_overrides is {'m': 1}; give PriceOverride objects in a list"),
    (
        {"price_overrides": [1]},
        "Tally: price_overrides is [1]; give PriceOverride objects, "
        "as in [PriceOverride('my-model', input=Decimal('0.5'))]",
    ),
    (
        {"catalogue_providers": {"mine": 1}},
        "Tally: catalogue_providers is {'mine': 1}; give names and texts, as in {'my-openai': 'openai'}",
    ),
    ({"known_models": "gpt-4o"}, "Tally: known_models is 'gpt-4o'; give several in a list, as in ['gpt-4o']"),
    ({"service": ""}, "Tally: service is ''; give a text"),
    ({"environment": 3}, "Tally: environment is 3; give a text"),
    ({"deployment_version": None}, "Tally: deployment_version is None; give a text"),
    ({"exemplar": 3}, "Tally: exemplar is 3; give a function, or None"),
    ({"enabled": "no"}, "Tally: enabled is 'no'; give True or False"),
    ({"implementation": "rust"}, "Tally: implementation is 'rust'; give native, python or None"),
    ({"capacity_bytes": 1e6}, "Tally: capacity_bytes is 1000000.0; give whole bytes from 4096 to 2**46"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda one: next(iter(one)) if one else "")
def test_a_wrong_argument(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        Tally(**arguments)
    assert str(caught.value) == message


def test_all_that_is_wrong_at_once() -> None:
    with pytest.raises(ArgumentError) as caught:
        Tally(service="", path=3, enabled=1)  # type: ignore[arg-type]  # the point
    assert str(caught.value).splitlines() == [
        "Tally: path is 3; give a path, or None",
        "Tally: service is ''; give a text",
        "Tally: enabled is 1; give True or False",
    ]


def test_every_argument_is_checked() -> None:
    assert list(inspect.signature(Tally).parameters) == list(CHECKS)
    assert {name for arguments, _ in WRONG for name in arguments} == set(CHECKS)
