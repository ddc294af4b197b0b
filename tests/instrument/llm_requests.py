"""LLM calls as plain HTTP requests, one of every API, streamed and not; and what becomes of them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from tallygate.simulator import Simulator
from tests.instrument.llm_truth import Expected

TEXT = "Say something about the weather, please."
MESSAGES = [{"role": "user", "content": TEXT}]


@dataclass(frozen=True)
class Ask:
    """One request. ``path`` and ``body`` have the model put in."""

    name: str
    family: str
    path: str
    endpoint: str
    operation: str
    stream: bool
    body: dict[str, Any] = field(default_factory=dict, hash=False)

    def path_for(self, model: str) -> str:
        return self.path.replace("{model}", quote(model, safe=""))

    def __str__(self) -> str:
        return self.name

    def body_for(self, model: str) -> dict[str, Any]:
        return self.body if "{model}" in self.path else {"model": model, **self.body}

    def json_for(self, model: str) -> bytes:
        return json.dumps(self.body_for(model)).encode()

    def expected(self, behaviour: str, calls: int = 1) -> Expected:
        """How it is recorded when it ends as the simulator's behaviour has it."""
        error_type = FAILING.get(behaviour, "")
        if behaviour == "error_event" and self.stream and self.family != "gpt":
            error_type = "provider_overloaded"
        outcome = "failed" if error_type else "completed"
        return Expected("local", self.operation, self.endpoint, self.stream, outcome, error_type, calls)


GEMINI = {"contents": [{"parts": [{"text": TEXT}]}], "generationConfig": {"maxOutputTokens": 12}}
USAGE = {"stream": True, "stream_options": {"include_usage": True}}
CHAT = {"messages": MESSAGES, "max_tokens": 12}
ASKS = (
    Ask("chat", "gpt", "/v1/chat/completions", "/chat/completions", "chat", False, CHAT),
    Ask("chat-stream", "gpt", "/v1/chat/completions", "/chat/completions", "chat", True, {**CHAT, **USAGE}),
    Ask("completion", "gpt", "/v1/completions", "/completions", "text_completion", False, {"prompt": TEXT}),
    Ask(
        "completion-stream", "gpt", "/v1/completions", "/completions", "text_completion", True,
        {"prompt": TEXT, **USAGE},
    ),
    Ask("responses", "gpt", "/v1/responses", "/responses", "chat", False, {"input": TEXT}),
    Ask("responses-stream", "gpt", "/v1/responses", "/responses", "chat", True, {"input": TEXT, "stream": True}),
    Ask("embeddings", "gpt", "/v1/embeddings", "/embeddings", "embeddings", False, {"input": [TEXT, "and"]}),
    Ask("messages", "claude", "/v1/messages", "/messages", "chat", False, CHAT),
    Ask("messages-stream", "claude", "/v1/messages", "/messages", "chat", True, {**CHAT, "stream": True}),
    Ask(
        "gemini", "gemini", "/v1beta/models/{model}:generateContent", "/models/{model}:generateContent",
        "generate_content", False, GEMINI,
    ),
    Ask(
        "gemini-stream", "gemini", "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        "/models/{model}:generateContent", "generate_content", True, GEMINI,
    ),
)  # fmt: skip
CHAT_STREAM = ASKS[1]

FAILING = {
    "400": "caller_invalid_request",
    "401": "provider_authentication",
    "404": "provider_model_unavailable",
    "429": "provider_rate_limit",
    "500": "provider_server_error",
    "503": "provider_overloaded",
    "context_length": "caller_context_length",
    "html_error": "provider_server_error",
    "reset": "provider_network",
    "reset_body": "provider_stream_cut",
    "cut_stream": "provider_stream_cut",
    "cut_chunks": "provider_stream_cut",
    "truncated_json": "provider_invalid_response",
    "error_event": "provider_server_error",
    "stall": "provider_timeout",
    "slow_headers": "provider_timeout",
}
"""Behaviours that end a call badly, and why."""
FINE = ("", "no_usage", "crlf", "split_frames", "gzip", "cached", "reasoning", "tools", "empty", "pings", "long:40kB")
FEW = [(ask, behaviour) for ask in ASKS for behaviour in ("", "gzip", "503")]
"""Every API, and the ways in which its reply usually turns out."""
CASES = [*dict.fromkeys([*FEW, *[(ask, behaviour) for ask in ASKS[:2] for behaviour in (*FINE, *FAILING)]])]
"""The same, and the most common API with everything there is."""


def address(simulator: Simulator) -> str:
    """host:port"""
    return urlsplit(simulator.url).netloc
