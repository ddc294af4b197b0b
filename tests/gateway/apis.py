"""The APIs the gateway serves, as a client would call them."""

import json
from dataclasses import dataclass
from typing import Any

LIMIT = 12
"""Output tokens that requests allow."""


@dataclass(frozen=True)
class API:
    """One wire format and how to ask in it."""

    name: str
    provider: str
    operation: str
    endpoint: str
    streams: bool = True

    def path(self, model: str, stream: bool) -> str:
        if self.name == "gemini_generate":
            return f"/v1beta/models/{model}:" + ("streamGenerateContent?alt=sse" if stream else "generateContent")
        return {
            "openai_chat": "/v1/chat/completions",
            "openai_completions": "/v1/completions",
            "openai_responses": "/v1/responses",
            "openai_embeddings": "/v1/embeddings",
            "anthropic_messages": "/v1/messages",
        }[self.name]

    def label(self, stream: bool) -> str:
        """The endpoint label."""
        return "/models/{model}:streamGenerateContent" if stream and self.provider == "gemini" else self.endpoint

    def body(self, model: str, stream: bool, *, usage: bool | None = None) -> bytes:
        """A request; ``usage``: whether an OpenAI stream asks for its usage, None: says nothing about it."""
        text = "Say something about the weather, please."
        message = {"role": "user", "content": text}
        ask: dict[str, Any]
        match self.name:
            case "openai_chat":
                ask = {"model": model, "messages": [message], "max_tokens": LIMIT}
            case "openai_completions":
                ask = {"model": model, "prompt": text, "max_tokens": LIMIT}
            case "openai_responses":
                ask = {"model": model, "input": text, "max_output_tokens": LIMIT}
            case "openai_embeddings":
                ask = {"model": model, "input": [text, "and more"]}
            case "anthropic_messages":
                ask = {"model": model, "messages": [message], "max_tokens": LIMIT}
            case _:
                ask = {
                    "contents": [{"role": "user", "parts": [{"text": text}]}],
                    "generationConfig": {"maxOutputTokens": LIMIT},
                }
                return json.dumps(ask).encode()
        if stream:
            ask["stream"] = True
        if usage is not None:
            ask["stream_options"] = {"include_usage": usage}
        return json.dumps(ask).encode()


APIS = (
    API("openai_chat", "openai", "chat", "/chat/completions"),
    API("openai_completions", "openai", "text_completion", "/completions"),
    API("openai_responses", "openai", "chat", "/responses"),
    API("openai_embeddings", "openai", "embeddings", "/embeddings", streams=False),
    API("anthropic_messages", "anthropic", "chat", "/messages"),
    API("gemini_generate", "gemini", "generate_content", "/models/{model}:generateContent"),
)
