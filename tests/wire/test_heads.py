"""Requests: heads, refusals with their reasons, rewriting."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.wire import BadRequest, Head
from tallygate.wire.formats import WIRES

IN_BODY = [name for name in WIRES if name != "gemini_generate"]
CHATS = ["openai_chat", "openai_completions"]


def head(wire: str, body: bytes | dict[str, Any]) -> Head:
    return WIRES[wire].read_head(body if isinstance(body, bytes) else json.dumps(body).encode(), "", False)


@pytest.mark.parametrize("wire", CHATS)
@pytest.mark.parametrize(
    ("members", "stream", "reports_usage"),
    [
        ({}, False, True),
        ({"stream": None}, False, True),
        ({"stream": False, "stream_options": {"include_usage": False}}, False, True),
        ({"stream": True}, True, False),
        ({"stream": True, "stream_options": None}, True, False),
        ({"stream": True, "stream_options": {}}, True, False),
        ({"stream": True, "stream_options": {"include_usage": None}}, True, False),
        ({"stream": True, "stream_options": {"include_usage": False}}, True, False),
        ({"stream": True, "stream_options": {"include_usage": True, "include_obfuscation": False}}, True, True),
    ],
)
def test_chat_head(wire: str, members: dict[str, Any], stream: bool, reports_usage: bool) -> None:
    assert head(wire, {"model": "gpt-4o", "messages": [{"role": "user"}], **members}) == Head(
        "gpt-4o", stream, reports_usage
    )


@pytest.mark.parametrize("wire", ["openai_responses", "anthropic_messages"])
def test_head_of_those_who_report_usage_unasked(wire: str) -> None:
    assert head(wire, {"model": "m", "stream": True}) == Head("m", True, True)
    assert head(wire, {"model": "m"}) == Head("m", False, True)


def test_embeddings_head() -> None:
    assert head("openai_embeddings", {"model": "e", "input": "x", "stream": True}) == Head("e", False, True, 0)


@pytest.mark.parametrize(
    ("wire", "members", "most"),
    [
        ("openai_chat", b'"max_tokens":5', 5),
        ("openai_chat", b'"max_tokens":5,"max_completion_tokens":7,"n":3', 21),
        ("openai_chat", b'"max_tokens":5,"max_completion_tokens":null', 5),
        ("openai_chat", b'"max_tokens":12.0,"n":0', 12),
        ("openai_chat", b'"max_tokens":-1', 0),
        ("openai_chat", b'"max_tokens":1e999999', 10_000_000),
        ("openai_chat", b'"max_tokens":' + b"9" * 3000, 10_000_000),
        ("openai_chat", b'"max_tokens":10,"n":9999999', 10_000_000),
        ("openai_chat", b'"max_tokens":[[],{}],"n":"x"', None),
        ("openai_chat", b'"max_tokens":"5"', None),
        ("openai_completions", b'"max_tokens":9,"n":2', 18),
        ("openai_responses", b'"max_output_tokens":9', 9),
        ("anthropic_messages", b'"max_tokens":9', 9),
        ("gemini_generate", b'"generationConfig":{"maxOutputTokens":4}', 4),
        ("gemini_generate", b'"generationConfig":{"maxOutputTokens":4,"candidateCount":2}', 8),
        ("gemini_generate", b'"generationConfig":{"topK":4}', None),
        ("gemini_generate", b'"generationConfig":[4]', None),
        ("openai_embeddings", b'"max_tokens":9', 0),
    ],
)
def test_how_much_may_be_written(wire: str, members: bytes, most: int | None) -> None:
    assert WIRES[wire].read_head(b'{"model":"m",' + members + b"}", "m", False) == Head("m", False, True, most)


def test_gemini_head_is_in_the_path() -> None:
    assert WIRES["gemini_generate"].read_head(b'{"contents":[]}', "gemini-2.5-pro", True) == Head(
        "gemini-2.5-pro", True
    )
    with pytest.raises(BadRequest, match="model: a non-empty string is required"):
        WIRES["gemini_generate"].read_head(b"{}", "", False)
    with pytest.raises(BadRequest, match="the body must be a JSON object"):
        WIRES["gemini_generate"].read_head(b"[]", "m", False)


DEEP = b'{"model":"m","x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"


@pytest.mark.parametrize("wire", IN_BODY)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the body is not valid JSON: Input data was truncated"),
        (b'{"model":"m"', "the body is not valid JSON: Input data was truncated"),
        (b'{"model":"m"}}', r"the body is not valid JSON: JSON is malformed: trailing characters "),
        (b'{"model":"m","x":NaN}', "the body is not valid JSON: "),
        (b'\xef\xbb\xbf{"model":"m"}', r"the body is not valid JSON: JSON is malformed: invalid character \(byte 0\)"),
        (b'{"model":"m","x":"\x01"}', "the body is not valid JSON: "),
        (b'{"model":"m","x":"\\ud800","y":NaN}', "the body is not valid JSON: NaN is no JSON value"),
        (b'{"model":"m","x":"\\ud800"', "the body is not valid JSON: "),
        (b"[]", "the body must be a JSON object"),
        (b"null", "the body must be a JSON object"),
        (b'"model"', "the body must be a JSON object"),
        (b"{}", "model: a non-empty string is required"),
        (b'{"model":null}', "model: a non-empty string is required"),
        (b'{"model":""}', "model: a non-empty string is required"),
        (b'{"model":7}', "model: must be a string"),
        (b'{"model":["m"]}', "model: must be a string"),
        (b'{"model":7,"x":"\\ud800"}', "model: must be a string"),
        (b'{"model":"m\\n"}', "model: contains characters that no model name has"),
        (b'{"model":"m\\ud800"}', "model: contains characters that no model name has"),
        (b'{"model":"m","x":"\xff"}', r"the body is not valid UTF-8 \(byte 18\)"),
        (b'{"model":"\xff"}', r"the body is not valid UTF-8 \(byte \d+\)"),
        (b'{"model":"a","model":"b"}', "model: must not be there more than once"),
        (b'{"model":"a","m\\u006fdel":"b"}', "model: must not be there more than once"),
        (DEEP, "the body is nested too deeply"),
    ],
    ids=lambda value: value[:40] if isinstance(value, bytes) else "",
)  # fmt: skip
def test_bad_requests_say_why(wire: str, body: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=f"^{message}"):
        head(wire, body)


@pytest.mark.parametrize("wire", CHATS)
@pytest.mark.parametrize(
    ("members", "message"),
    [
        (b'"stream":"true"', "stream: must be true or false"),
        (b'"stream":1', "stream: must be true or false"),
        (b'"stream_options":[]', "stream_options: must be an object"),
        (b'"stream_options":{"include_usage":"yes"}', "stream_options.include_usage: must be true or false"),
        (b'"stream":true,"stream":false', "stream: must not be there more than once"),
        (b'"stream_options":{},"stream_options":{}', "stream_options: must not be there more than once"),
    ],
)
def test_bad_chat_options(wire: str, members: bytes, message: str) -> None:
    with pytest.raises(BadRequest, match=f"^{message}$"):
        head(wire, b'{"model":"m",' + members + b"}")


@pytest.mark.parametrize(
    "members",
    [
        b'"tools":[{"model":"x","stream":true},{"model":"y"}]',
        b'"messages":[{"content":"\\"model\\" \\"model\\" \\u006d \\u00e9"}]',
        b'"messages":[{"content":"half of a pair: \\ud83d"}]',
        b'"n":1e999999,"m":' + b"9" * 3000,
        '"messages":[{"content":"Grüße, 世界"}]'.encode(),
    ],
)
def test_what_is_not_ours_to_refuse(members: bytes) -> None:
    assert head("openai_chat", b'{"model":"m",' + members + b"}") == Head("m")


@pytest.mark.parametrize(
    ("wire", "member"),
    [
        ("openai_chat", b'"max_completion_tokens":7,"n":2'),
        ("openai_completions", b'"max_tokens":14'),
        ("openai_responses", b'"max_output_tokens":14'),
        ("anthropic_messages", b'"max_tokens":14'),
        ("gemini_generate", b'"generationConfig":{"maxOutputTokens":7,"candidateCount":2}'),
    ],
)
def test_half_of_a_pair_hides_no_number(wire: str, member: bytes) -> None:
    """A lone surrogate stops the quick decoder; what is read otherwise is the same."""
    body = b'{"model":"m","x":"\\ud83d",' + member + b"}"
    assert WIRES[wire].read_head(body, "m", False).max_output_tokens == 14


@given(body=st.binary() | st.text().map(str.encode), wire=st.sampled_from(sorted(WIRES)))
def test_random_bodies_are_refused_and_nothing_else(body: bytes, wire: str) -> None:
    with pytest.raises(BadRequest):
        WIRES[wire].read_head(body.replace(b"{", b"("), "m", False)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    members=st.dictionaries(st.sampled_from(["model", "stream", "stream_options", "x"]) | st.text(max_size=5), JSONS),
    wire=st.sampled_from(sorted(WIRES)),
)
def test_any_object_is_read_or_refused(members: dict[str, Any], wire: str) -> None:
    body = json.dumps(members).encode()
    try:
        found = WIRES[wire].read_head(body, "path", True)
    except BadRequest:
        return
    assert found.model == ("path" if wire == "gemini_generate" else members["model"])
    if found.stream and not found.reports_usage:
        rewritten = json.loads(WIRES[wire].rewrite(body, model="new", ask_usage=True))
        options = {**(members.get("stream_options") or {}), "include_usage": True}
        assert rewritten == {**members, "model": "new", "stream_options": options}


# Rewriting


def test_rewriting_keeps_the_bytes_of_all_other_values() -> None:
    body = b'{ "messages": [ {"content":"\\u00e9 \\/ ",  "n": 1.0e2} ], "model": "x", "stream": true, "seed": 1E400 }'
    assert WIRES["openai_chat"].rewrite(body, model="gpt-4o", ask_usage=True) == (
        b'{"messages":[ {"content":"\\u00e9 \\/ ",  "n": 1.0e2} ],"model":"gpt-4o","stream":true,"seed":1E400,'
        b'"stream_options":{"include_usage":true}}'
    )


def test_rewriting_merges_stream_options() -> None:
    body = b'{"model":"m","stream_options":{"include_obfuscation": false,"include_usage":false}}'
    assert WIRES["openai_completions"].rewrite(body, model=None, ask_usage=True) == (
        b'{"model":"m","stream_options":{"include_obfuscation":false,"include_usage":true}}'
    )
    body = b'{"model":"m","stream_options":null}'
    assert WIRES["openai_chat"].rewrite(body, model=None, ask_usage=True) == (
        b'{"model":"m","stream_options":{"include_usage":true}}'
    )


def test_rewriting_without_changes_is_the_body_itself() -> None:
    body = b'{ "model" : "m" }'
    for wire in WIRES.values():
        assert wire.rewrite(body, model=None, ask_usage=False) is body


def test_only_who_must_be_asked_is_asked_for_usage() -> None:
    body = b'{ "model" : "m" }'
    for name in ("openai_responses", "openai_embeddings", "anthropic_messages", "gemini_generate"):
        assert WIRES[name].rewrite(body, model=None, ask_usage=True) is body
    assert WIRES["anthropic_messages"].rewrite(body, model="c", ask_usage=True) == b'{"model":"c"}'
    assert WIRES["gemini_generate"].rewrite(body, model="g", ask_usage=True) is body


def test_rewriting_what_the_quick_decoder_does_not_read() -> None:
    body = b'{"model":"m","x":"\\ud83d","stream_options":{"a":1}}'
    rewritten = WIRES["openai_chat"].rewrite(body, model="n", ask_usage=True)
    assert rewritten == b'{"model":"n","x":"\\ud83d","stream_options":{"a":1,"include_usage":true}}'


@given(body=st.binary())
def test_rewriting_random_bytes_is_refused(body: bytes) -> None:
    try:
        WIRES["openai_chat"].rewrite(body, model="m", ask_usage=True)
    except BadRequest:
        return
    assert isinstance(msgspec.json.decode(body), dict)
