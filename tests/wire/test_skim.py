"""The skimmer agrees with json.loads about what it captures, whatever the document and however it is cut."""

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tallygate.wire.skim import CAPTURE_LIMIT, EVERY, Nesting, Path, Skimmer

PATHS: tuple[Path, ...] = (("usage",), ("a", "b"), ("a", "c"), ("list", EVERY, "b"), ('a\\"é',))
KEYS = st.sampled_from(["usage", "a", "b", "c", "list", "*", 'a\\"é', "", "x"]) | st.text(max_size=4)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=6)


def wanted(document: Any) -> dict[Path, list[Any]]:
    """What json.loads finds at PATHS: for each all values, in order."""
    found: dict[Path, list[Any]] = {}
    for path in PATHS:
        places = [document]
        for name in path:
            if name == EVERY:
                places = [item for place in places if isinstance(place, list) for item in place]
            else:
                places = [place[name] for place in places if isinstance(place, dict) and name in place]
        if places:
            found[path] = places
    return found


def skim(raw: bytes, cuts: list[int], paths: tuple[Path, ...] = PATHS) -> Skimmer:
    skimmer = Skimmer(paths)
    for start, end in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        skimmer.feed(raw[start:end])
    return skimmer


@given(
    document=DOCUMENTS,
    data=st.data(),
    indent=st.sampled_from([None, 1, "\t"]),
    ensure_ascii=st.booleans(),
)
@example(document={"a": {"b": "\\", "c": '"'}}, data=None, indent=None, ensure_ascii=True)
def test_captures_what_json_finds(document: Any, data: st.DataObject | None, indent: Any, ensure_ascii: bool) -> None:
    raw = json.dumps(document, indent=indent, ensure_ascii=ensure_ascii).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=8))) if data else list(range(1, len(raw)))
    skimmer = skim(raw, cuts)
    assert skimmer.complete
    assert {path: json.loads(value) for path, value in skimmer.captured.items()} == {
        path: values[-1] for path, values in wanted(document).items()
    }
    reduced = json.loads(skimmer.reduced())
    assert wanted(reduced) == {path: values[-1:] for path, values in wanted(document).items()}


@given(document=DOCUMENTS, data=st.data())
def test_a_document_that_is_cut_is_not_complete(document: Any, data: st.DataObject) -> None:
    raw = json.dumps(document).encode()
    end = data.draw(st.integers(0, len(raw) - 1))
    assert not skim(raw[:end], []).complete


@given(
    pieces=st.lists(st.binary(max_size=30) | st.sampled_from([b'{"a":', b'"', b"\\", b"}", b"[", b',"usage":', b"1 "]))
)
def test_random_bytes_never_raise(pieces: list[bytes]) -> None:
    skimmer = Skimmer(PATHS)
    for piece in pieces:
        skimmer.feed(piece)
    skimmer.reduced()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"usage":}', b'{"usage" 1}', b"{,}", b'{"a":{"b":1,}}', b'{"a":{"b":1 2}}', b'{"usage":1}}', b"{}{}", b"{}x",
        b"<html>", b"1", b'"a"', b"", b"  ", b'{"usage":?}', b"{1:2}", b'{"a":[1,2}', b'{"usage":1',
    ],
)  # fmt: skip
def test_what_is_no_document_is_not_complete(raw: bytes) -> None:
    assert not skim(raw, []).complete
    assert not skim(raw, list(range(1, len(raw)))).complete


@pytest.mark.parametrize("raw", [b"{}", b" [ ] \n", b'{"x":[1,{"y":"}"}]}', b'[{"a":1},{}]', b'{"usage":null}\r\n'])
def test_what_is_one_is(raw: bytes) -> None:
    assert skim(raw, list(range(1, len(raw)))).complete


def test_last_of_repeated_members_counts_and_is_noted() -> None:
    skimmer = skim(b'{"usage":1,"a":{"b":1},"usage":2,"a":{"c":3},"us\\u0061ge":4}', [])
    assert skimmer.captured == {("usage",): b"4", ("a", "c"): b"3"}
    assert skimmer.repeated == {("usage",)}


def test_capture_is_bounded() -> None:
    text = b'"' + b"x" * (CAPTURE_LIMIT - 2) + b'"'
    assert skim(b'{"usage":' + text + b"}", []).captured == {("usage",): text}
    skimmer = skim(b'{"usage":x' + text[1:] + b"}", [])
    assert skimmer.broken
    skimmer = skim(b'{"usage":"y' + text[1:] + b',"a":{"b":1}}', [100, 5000])
    assert skimmer.captured == {("a", "b"): b"1"}
    assert skimmer.overflowed == {("usage",)}
    assert skimmer.complete


def test_depth_costs_nothing() -> None:
    depth = 3_000_000
    skimmer = skim(b'{"x":' + b"[" * depth + b"]" * depth + b',"usage":1}', [])
    assert skimmer.captured == {("usage",): b"1"}
    assert skimmer.complete


@given(value=st.lists(VALUES, max_size=3) | DOCUMENTS, rest=st.binary(max_size=5), data=st.data())
def test_nesting_finds_the_end(value: Any, rest: bytes, data: st.DataObject) -> None:
    raw = json.dumps(value).encode()
    cut = data.draw(st.integers(1, len(raw)))
    nesting = Nesting()
    first = nesting.feed(raw[:cut], 0)
    if cut == len(raw):
        assert first == len(raw)
    else:
        assert first == -1
        assert nesting.feed(raw[cut:] + rest, 0) == len(raw) - cut
