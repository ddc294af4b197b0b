"""Requests that mean the same have one form, all others have forms of their own."""

from __future__ import annotations

import json
import random
from collections.abc import Hashable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.gateway.cache.normal import Unfit, normal_form

NUMBERS = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=4) | st.sampled_from(["a", "b", "stream", "é", "😀", "\x00"])
PLAIN = st.none() | st.booleans() | NUMBERS | TEXTS | st.sampled_from([0, 0.0, 1, 1.0, True, "1", "true", ""])
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=8
)
REQUESTS = st.dictionaries(TEXTS, VALUES, max_size=4)
FEW = st.recursive(
    st.sampled_from([0, 1, 1.0, True, "1", None]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=5,
)
"""So few that two of them are often the same."""


FREE = ("", "o", "ol", "ool", "olol")
"""Where the order of an object's members means nothing: by what leads to it, members of objects and items of lists."""


def meaning(value: Any, way: str = "") -> Hashable:
    """What a value means, told in another way than the code under test tells it."""
    if isinstance(value, dict):
        members = [(name, meaning(one, way + "o")) for name, one in value.items()]
        if not way:
            members = [(name, one) for name, one in members if (name, one) != ("stream", ("bool", False))]
        return ("object", frozenset(members) if way in FREE else tuple(members))
    if isinstance(value, list):
        return ("list", tuple(meaning(one, way + "l") for one in value))
    return (type(value).__name__, repr(value) if isinstance(value, float) else value)


def written(value: Any, dice: random.Random, way: str = "") -> str:
    """A value in JSON, in one of the many ways."""

    def gap() -> str:
        return dice.choice(["", "", " ", "\n", "\t\r\n "])

    if isinstance(value, dict):
        members = list(value.items())
        if way in FREE:
            dice.shuffle(members)
        parts = [
            f"{gap()}{text(name, dice)}{gap()}:{gap()}{written(one, dice, way + 'o')}{gap()}" for name, one in members
        ]
        return "{" + ",".join(parts) + gap() + "}"
    if isinstance(value, list):
        return "[" + ",".join(gap() + written(one, dice, way + "l") + gap() for one in value) + gap() + "]"
    if isinstance(value, str):
        return text(value, dice)
    if isinstance(value, float):
        return dice.choice([repr(value), f"{value:.17e}", f"{value:.20E}"])
    return json.dumps(value)


def text(value: str, dice: random.Random) -> str:
    """A string in JSON, some of its characters as escapes."""

    def one(letter: str) -> str:
        if dice.random() < 0.5:
            return json.dumps(letter, ensure_ascii=False)[1:-1]
        units = letter.encode("utf-16-be")
        codes = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
        return "".join("\\u" + (code.upper() if dice.random() < 0.5 else code) for code in codes)

    return '"' + "".join(map(one, value)) + '"'


@given(REQUESTS, st.randoms(use_true_random=False))
def test_one_meaning_has_one_form(request: dict[str, Any], dice: random.Random) -> None:
    body = written(request, dice).encode()
    assert json.loads(body) == request
    assert normal_form(body) == normal_form(json.dumps(request).encode())


@given(st.dictionaries(TEXTS, FEW, max_size=2), st.dictionaries(TEXTS, FEW, max_size=2))
def test_two_forms_are_the_same_only_where_the_meaning_is(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = normal_form(json.dumps(one).encode()) == normal_form(json.dumps(other).encode())
    assert same == (meaning(one) == meaning(other))


@given(FEW, FEW)
def test_so_it_is_at_any_depth(one: Any, other: Any) -> None:
    first, second = {"a": one}, {"a": other}
    same = normal_form(json.dumps(first).encode()) == normal_form(json.dumps(second).encode())
    assert same == (meaning(first) == meaning(second))


@given(REQUESTS)
def test_a_form_is_json_of_the_same_meaning(request: dict[str, Any]) -> None:
    form = normal_form(json.dumps(request).encode())
    assert form.isascii()
    assert meaning(json.loads(form)) == meaning(request)
    assert normal_form(form.encode()) == form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"model":"m","n":1}', ' {"n" : 1,\r\n"model":"m"}'),
        ('{"p":"é😀"}', '{"p":"\\u00e9\\uD83D\\ude00"}'),
        ('{"p":"a/b"}', '{"p":"a\\/b"}'),
        ('{"p":"\\ud800"}', '{"p":"\\uD800"}'),
        ('{"stream":false,"a":1}', '{"a":1}'),
        ('{"t":0.70}', '{"t":7e-1}'),
        ('{"messages":[{"role":"user","content":"x"}]}', '{"messages":[{"content":"x","role":"user"}]}'),
        ('{"m":[{"content":[{"type":"text","text":"x"}]}]}', '{"m":[{"content":[{"text":"x","type":"text"}]}]}'),
        ('{"stream_options":{"a":1,"b":2}}', '{"stream_options":{"b":2,"a":1}}'),
    ],
)
def test_the_same(one: str, other: str) -> None:
    assert normal_form(one.encode()) == normal_form(other.encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"n":1}', '{"n":1.0}'),
        ('{"n":1}', '{"n":true}'),
        ('{"n":1}', '{"n":"1"}'),
        ('{"n":null}', "{}"),
        ('{"n":0.0}', '{"n":-0.0}'),
        ('{"n":10000000000000000000001}', '{"n":10000000000000000000002}'),
        ('{"a":["x","y"]}', '{"a":["y","x"]}'),
        ('{"p":"a"}', '{"p":"A"}'),
        ('{"p":"a"}', '{"p":"a "}'),
        ('{"p":"\\u00e9"}', '{"p":"e\\u0301"}'),
        ('{"stream":true}', "{}"),
        ('{"stream":null}', "{}"),
        ('{"stream":true}', '{"stream":true,"stream_options":{"include_usage":true}}'),
        # Models write the members of an answer in the order of its schema.
        (
            '{"response_format":{"json_schema":{"properties":{"why":{},"what":{}}}}}',
            '{"response_format":{"json_schema":{"properties":{"what":{},"why":{}}}}}',
        ),
        (
            '{"tools":[{"input_schema":{"properties":{"a":{},"b":{}}}}]}',
            '{"tools":[{"input_schema":{"properties":{"b":{},"a":{}}}}]}',
        ),
        (
            '{"messages":[{"content":[{"type":"tool_use","input":{"a":1,"b":2}}]}]}',
            '{"messages":[{"content":[{"type":"tool_use","input":{"b":2,"a":1}}]}]}',
        ),
    ],
)
def test_not_the_same(one: str, other: str) -> None:
    assert normal_form(one.encode()) != normal_form(other.encode())


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "it is no plain JSON: Expecting value"),
        (b"[1]", "it is no JSON object"),
        (b'"text"', "it is no JSON object"),
        (b'{"a":1} x', "it is no plain JSON: Extra data"),
        (b'{"a":1,"a":2}', "it is no plain JSON: a member is there twice"),
        (b'{"m":[{"a":1,"\\u0061":1}]}', "it is no plain JSON: a member is there twice"),
        (b'{"a":NaN}', "it is no plain JSON: NaN is no JSON value"),
        (b'{"a":-Infinity}', "it is no plain JSON: -Infinity is no JSON value"),
        (b'{"a":1e999}', "Out of range float values are not JSON compliant"),
        (b'{"a":' + b"1" * 5000 + b"}", "it is no plain JSON: Exceeds the limit"),
        (b'{"a":"\xff"}', "it is no plain JSON: 'utf-8' codec"),
        ('{"a":1}'.encode("utf-16"), "it is no plain JSON: 'utf-8' codec"),
        (b"\xef\xbb\xbf{}", "it is no plain JSON: "),
        (b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "it is nested too deeply"),
    ],
)
def test_what_has_no_form(body: bytes, why: str) -> None:
    with pytest.raises(Unfit) as caught:
        normal_form(body)
    assert str(caught.value).startswith(why)


def test_members_that_must_not_be_set() -> None:
    for empty in ('{"conversation":null}', '{"background":false}', "{}"):
        normal_form(empty.encode(), ("background", "conversation"))
    for body in ('{"conversation":"conv_1"}', '{"background":true}'):
        with pytest.raises(Unfit, match="is set"):
            normal_form(body.encode(), ("background", "conversation"))
