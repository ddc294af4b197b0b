"""Requests: reading the few members that matter, and splicing others in."""

import json
import re
from typing import Any, Generic, NoReturn, TypeVar

import msgspec
from msgspec import Raw

from tallygate.wire.interface import BadRequest
from tallygate.wire.skim import Skimmer

S = TypeVar("S", bound=msgspec.Struct)

NO_MODEL = "model: a non-empty string is required"

MOST_TOKENS = 10_000_000
"""No model writes as much, whatever a request allows it."""
NOT_THERE = Raw(b"")
"""The default of a member that may be anything: what it should be is the provider's to judge."""

_ESCAPED_LETTER = re.compile(rb"\\u00[567]")
"""A letter or '_' written as an escape: no encoder does that, but a key may be disguised so."""
_members = msgspec.json.Decoder(dict[str, Raw])
_EXPECTED = {
    "str": "a string",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "int": "an integer",
}


class HeadReader(Generic[S]):
    """Reads the head of a request into a struct whose members may all be null or absent."""

    def __init__(self, struct: type[S], *watched: str) -> None:
        """``watched``: the members that decide what is done, and so must not be there twice."""
        self._struct = struct
        self._decode = msgspec.json.Decoder(struct).decode
        self._raw = [field.encode_name for field in msgspec.structs.fields(struct) if field.type is Raw]
        self._watched = [(name, b'"' + name.encode() + b'"') for name in watched]

    def read(self, body: bytes) -> S:
        """Raises BadRequest."""
        try:
            head = self._decode(body)
            if not body.isascii():
                body.decode()
        except UnicodeDecodeError as problem:
            raise BadRequest(f"the body is not valid UTF-8 (byte {problem.start})") from None
        except msgspec.ValidationError as problem:
            raise BadRequest(_explain(str(problem))) from None
        except RecursionError:
            raise BadRequest("the body is nested too deeply") from None
        except ValueError as problem:
            head = self._read_again(body, str(problem))
        if self._watched and not _has_no_repetition(body):
            escaped = b"\\u00" in body and _ESCAPED_LETTER.search(body)
            for name, key in self._watched:
                if escaped or body.count(key) > 1:
                    self._check_once(body, name)
        return head

    def _read_again(self, body: bytes, problem: str) -> S:
        """A lone surrogate stops the quick decoder, but not every provider: what Python's parser reads may pass."""
        if b"\\u" not in body:
            raise BadRequest(f"the body is not valid JSON: {problem}")
        try:
            document = strict_loads(body)
            for name in self._raw if isinstance(document, dict) else ():
                if name in document:
                    document[name] = Raw(json.dumps(document[name]).encode())
            return msgspec.convert(document, self._struct)
        except msgspec.ValidationError as invalid:
            raise BadRequest(_explain(str(invalid))) from None
        except RecursionError:
            raise BadRequest("the body is nested too deeply") from None
        except ValueError as invalid:
            raise BadRequest(f"the body is not valid JSON: {invalid}") from None

    @staticmethod
    def _check_once(body: bytes, name: str) -> None:
        skimmer = Skimmer(((name,),))
        skimmer.feed_all(body)
        if skimmer.repeated:
            raise BadRequest(f"{name}: must not be there more than once")


def _has_no_repetition(body: bytes) -> bool:
    """Whether it is plain that no member is there twice: it would be lost, and the body shorter, when written anew."""
    try:
        return len(msgspec.json.encode(_members.decode(body))) == len(body)
    except (ValueError, RecursionError):
        return False


def checked_model(model: str | None) -> str:
    """The model's name. Raises BadRequest when there is none or it cannot be sent on."""
    if not model:
        raise BadRequest(NO_MODEL)
    if not model.isprintable() and any(ord(letter) < 32 or 0xD7FF < ord(letter) < 0xE000 for letter in model):
        raise BadRequest("model: contains characters that no model name has")
    return model


def most_output(tokens: Raw, choices: Raw) -> int | None:
    """How many tokens a request lets the model write, in all choices; None when it says nothing that can be read."""
    told = None if tokens is NOT_THERE else _number(tokens)
    if told is None or choices is NOT_THERE:
        return told
    return min(told * (_number(choices) or 1), MOST_TOKENS)


def _number(raw: Raw) -> int | None:
    """A whole number, 0 or more."""
    text = bytes(raw)
    if text.isdigit():
        return min(int(text), MOST_TOKENS) if len(text) < 10 else MOST_TOKENS
    try:
        return int(min(max(float(text), 0), MOST_TOKENS))
    except ValueError:
        return None


def splice(body: bytes, changes: dict[str, Any]) -> bytes:
    """The body with these members set; all other values keep their bytes.

    A dict of changes is merged into an object that is there already. Raises BadRequest for what is no JSON object.
    """
    try:
        members = _members.decode(body)
        for name, change in changes.items():
            if isinstance(change, dict):
                there = members.get(name)
                merged = {} if there is None or bytes(there) == b"null" else _members.decode(there)
                change = merged | {key: Raw(msgspec.json.encode(value)) for key, value in change.items()}
            members[name] = Raw(msgspec.json.encode(change))
        return msgspec.json.encode(members)
    except (ValueError, RecursionError):
        return _splice_slowly(body, changes)


def _splice_slowly(body: bytes, changes: dict[str, Any]) -> bytes:
    """For lone surrogates: the values stay the same, their bytes need not."""
    try:
        members = strict_loads(body)
        for name, change in changes.items():
            members[name] = (members.get(name) or {}) | change if isinstance(change, dict) else change
        return json.dumps(members, separators=(",", ":")).encode()
    except (ValueError, TypeError, AttributeError, RecursionError) as problem:
        raise BadRequest(f"the body cannot be rewritten: {problem}") from None


def strict_loads(body: bytes) -> Any:
    """JSON by the standard, lone surrogates apart. Raises ValueError, RecursionError."""
    return json.loads(body.decode(), parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _explain(problem: str) -> str:
    """A message of the decoder in terms of the request's members."""
    what, _, where = problem.partition(" - at `")
    path = where.removesuffix("`").removeprefix("$").lstrip(".")
    if not path:
        return "the body must be a JSON object"
    names = what.removeprefix("Expected ").partition(",")[0].replace("`", "").split(" | ")
    wanted = " or ".join(_EXPECTED.get(name, name) for name in names if name != "null")
    return f"{path}: must be {wanted}"
