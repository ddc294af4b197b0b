"""Which paths the gateway serves, and which wire format or passthrough each belongs to."""

from dataclasses import dataclass, replace

from tallygate.wire.formats import WIRES
from tallygate.wire.interface import Wire


@dataclass(frozen=True, slots=True)
class Route:
    """A matched path."""

    template: str
    """The path as a label: never what the client wrote."""
    kind: str
    """Which kind of provider speaks it."""
    endpoint: str
    """The provider's path."""
    wire: Wire | None = None
    """How to read it; None for what is only passed through (model lists)."""
    method: str = "POST"
    model: str = ""
    """The model, where the path names it."""
    stream: bool = False
    """Whether the path asks for a stream."""
    version: str = "v1beta"
    """Which version of Gemini's API was called."""
    streams: tuple[bool, ...] = (False, True)
    """Whether replies may be whole, streamed or both."""


def _llm(template: str, wire: str, endpoint: str, streams: tuple[bool, ...] = (False, True)) -> Route:
    return Route(template, WIRES[wire].kind, endpoint, WIRES[wire], streams=streams)


_FIXED = {
    route.template: route
    for route in (
        _llm("/v1/chat/completions", "openai_chat", "/chat/completions"),
        _llm("/v1/completions", "openai_completions", "/completions"),
        _llm("/v1/responses", "openai_responses", "/responses"),
        _llm("/v1/embeddings", "openai_embeddings", "/embeddings", (False,)),
        _llm("/v1/messages", "anthropic_messages", "/messages"),
    )
}

GEMINI_VERSIONS = ("v1beta", "v1")
"""Versions of Gemini's API: its SDKs of different age call different ones."""

_GEMINI_ACTIONS = {
    (version, action): Route(
        f"/{version}/models/{{model}}:{action}",
        "gemini",
        f"/models/{{model}}:{action}",
        WIRES["gemini_generate"],
        stream=stream,
        version=version,
        streams=(stream,),
    )
    for version in GEMINI_VERSIONS
    for action, stream in (("generateContent", False), ("streamGenerateContent", True))
}

LLM_ROUTES = tuple({route.endpoint: route for route in (*_FIXED.values(), *_GEMINI_ACTIONS.values())}.values())
"""The routes that lead to a model, one for each endpoint."""

LLM_PATHS = tuple(route.template for route in (*_FIXED.values(), *_GEMINI_ACTIONS.values()))
"""The paths that lead to a model, as labels and settings have them."""

UNMATCHED = "unmatched"
"""The path as a label when the gateway does not serve it."""


def match(path: str, headers: dict[bytes, bytes]) -> Route | None:
    """The route of a request path, None when the gateway does not serve it."""
    route = _FIXED.get(path)
    if route is not None:
        return route
    # A path need not begin with a slash: OPTIONS asks for "*".
    _, version, rest, *more = *path.split("/", 3), "", ""
    if rest != "models" or version not in GEMINI_VERSIONS:
        return None
    model, colon, action = more[0].rpartition(":")
    if model and (version, action) in _GEMINI_ACTIONS:
        return replace(_GEMINI_ACTIONS[version, action], model=model)
    kind = _speaker(version, headers)
    if kind == "gemini" and colon:
        return None
    if more[0]:
        return Route(f"/{version}/models/{{model}}", kind, "/models/{model}", None, "GET", more[0], version=version)
    if path.endswith("/"):
        return None
    return Route(f"/{version}/models", kind, "/models", method="GET", version=version)


def unmatched(path: str, headers: dict[bytes, bytes]) -> Route:
    """What stands for a path that no route matches: it tells whose clients may have called it."""
    version = "v1beta" if path.startswith("/v1beta/") else "v1"
    kind = "anthropic" if path.startswith("/v1/messages/") else _speaker(version, headers)
    return Route(UNMATCHED, kind, "")


def _speaker(version: str, headers: dict[bytes, bytes]) -> str:
    """Whose client calls a path that several APIs have: each has a header of its own."""
    if version == "v1beta" or b"x-goog-api-key" in headers:
        return "gemini"
    return "anthropic" if b"anthropic-version" in headers else "openai"
