"""Which paths the gateway serves, and which wire format or passthrough each belongs to."""

from dataclasses import dataclass, replace

from tallygate.gateway.wire import WIRES
from tallygate.gateway.wire.interface import Wire


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


def _llm(template: str, wire: str, endpoint: str) -> Route:
    return Route(template, WIRES[wire].kind, endpoint, WIRES[wire])


_FIXED = {
    route.template: route
    for route in (
        _llm("/v1/chat/completions", "openai_chat", "/chat/completions"),
        _llm("/v1/completions", "openai_completions", "/completions"),
        _llm("/v1/responses", "openai_responses", "/responses"),
        _llm("/v1/embeddings", "openai_embeddings", "/embeddings"),
        _llm("/v1/messages", "anthropic_messages", "/messages"),
        Route("/v1/models", "openai", "/models", method="GET"),
        Route("/v1beta/models", "gemini", "/models", method="GET"),
    )
}
_ANTHROPIC_MODELS = Route("/v1/models", "anthropic", "/models", method="GET")

_OPENAI_MODEL = "/v1/models/"
_GEMINI_MODEL = "/v1beta/models/"
_GEMINI_ACTIONS = {"generateContent": False, "streamGenerateContent": True}

_GEMINI_ROUTES = {
    action: Route(
        f"/v1beta/models/{{model}}:{action}",
        "gemini",
        f"/models/{{model}}:{action}",
        WIRES["gemini_generate"],
        stream=stream,
    )
    for action, stream in _GEMINI_ACTIONS.items()
}

LLM_ROUTES = (*(route for route in _FIXED.values() if route.wire is not None), *_GEMINI_ROUTES.values())
"""The routes that lead to a model."""


def match(path: str, headers: dict[bytes, bytes]) -> Route | None:
    """The route of a request path, None when the gateway does not serve it."""
    route = _FIXED.get(path)
    if route is not None:
        # OpenAI and Anthropic share this path; Anthropic's clients always send their version.
        if route.template == "/v1/models" and b"anthropic-version" in headers:
            return _ANTHROPIC_MODELS
        return route
    if path.startswith(_GEMINI_MODEL):
        model, colon, action = path[len(_GEMINI_MODEL) :].rpartition(":")
        if colon and model and action in _GEMINI_ROUTES:
            return replace(_GEMINI_ROUTES[action], model=model)
    elif path.startswith(_OPENAI_MODEL) and len(path) > len(_OPENAI_MODEL):
        kind = "anthropic" if b"anthropic-version" in headers else "openai"
        return Route("/v1/models/{model}", kind, "/models/{model}", None, "GET", path[len(_OPENAI_MODEL) :])
    return None
