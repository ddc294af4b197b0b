"""The library ``openai``: chat completions, completions, responses and embeddings, whoever serves them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tallygate.instrument.llm_calls import ObservedCall, member, plain
from tallygate.instrument.patching import Instrumentation
from tallygate.instrument.stainless import SDK
from tallygate.wire.tokens import openai_usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    from tallygate.record.recorder import Recorder

HOSTS: Final[Mapping[str, str]] = {
    "api.anthropic.com": "anthropic",
    "api.cerebras.ai": "cerebras",
    "api.cohere.ai": "cohere",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.fireworks.ai": "fireworks",
    "api.groq.com": "groq",
    "api.mistral.ai": "mistral",
    "api.moonshot.ai": "moonshotai",
    "api.moonshot.cn": "moonshotai",
    "api.perplexity.ai": "perplexity",
    "api.together.ai": "together",
    "api.together.xyz": "together",
    "api.x.ai": "xai",
    "api.z.ai": "zai",
    "cognitiveservices.azure.com": "azure",
    "generativelanguage.googleapis.com": "gemini",
    "openai.azure.com": "azure",
    "openrouter.ai": "openrouter",
    "services.ai.azure.com": "azure",
}
"""Who serves at these hosts and those below them. Elsewhere it is 'openai', whose API it is."""

_CONTENT: Final = ("tool_calls", "reasoning_content", "reasoning", "refusal", "function_call", "audio")
_LAST: Final = frozenset(("response.completed", "response.incomplete", "response.failed", "response.cancelled"))

_sdk: SDK | None = None


def openai(client: OpenAI | AsyncOpenAI | None = None, *, tally: Recorder | None = None) -> Instrumentation:
    """Record the calls of this client, and of those copied from it; without one, of all clients, those made before too.

    A call of several instrumentations is recorded once: by the client's own, else by the latest. Raises
    NotInstrumentable for anything that is no client, ImportError without the library.
    """
    global _sdk
    if _sdk is None:
        _sdk = _the_sdk()
    return _sdk.instrument(client, tally)


def _the_sdk() -> SDK:
    import httpx2
    from openai import AsyncStream, Stream
    from openai._base_client import AsyncAPIClient, SyncAPIClient
    from openai._legacy_response import LegacyAPIResponse
    from openai._response import BaseAPIResponse
    from openai.lib.azure import BaseAzureClient

    def provider(client: Any) -> str:
        return "azure" if isinstance(client, BaseAzureClient) else provider_at(client.base_url.host)

    readers = (Chat("chat", "/chat/completions"), Chat("text_completion", "/completions"), Responses(), Embeddings())
    return SDK(
        "openai",
        SyncAPIClient,
        AsyncAPIClient,
        Stream,
        AsyncStream,
        (LegacyAPIResponse, BaseAPIResponse, httpx2.Response),
        {reader.endpoint: reader for reader in readers},
        provider,
    )


@lru_cache(256)
def provider_at(host: str) -> str:
    """Who serves at this host, as a label."""
    known = host.lower()
    while known not in HOSTS and "." in known:
        known = known.partition(".")[2]
    return HOSTS.get(known, "openai")


class Chat:
    """Chat completions, and the completions before them, which differ in names only."""

    def __init__(self, operation: str, endpoint: str) -> None:
        self.operation, self.endpoint = operation, endpoint

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        for choice in member(reply, "choices") or ():
            if member(choice, "finish_reason") == "content_filter":
                call.filtered(call.said_something or _says_something(choice, "message"))
        self._read_rest(call, reply)

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""
        choices = member(event, "choices")
        for choice in choices or ():
            if _says_something(choice, "delta"):
                call.content()
                break
        for choice in choices or ():
            reason = member(choice, "finish_reason")
            if reason is not None:
                call.complete = True
                if reason == "content_filter":
                    call.filtered(call.said_something)
        self._read_rest(call, event)

    def _read_rest(self, call: ObservedCall, reply: Any) -> None:
        usage = member(reply, "usage")
        if usage is None:
            groq = member(reply, "x_groq")
            usage = groq if groq is None else member(groq, "usage")
        if usage is not None:
            call.usage(openai_usage(plain(usage)))
        error = member(reply, "error")
        if error:
            call.failed_with({"error": plain(error)})


def _says_something(choice: Any, message: str) -> bool:
    """Whether a choice has any text, tool call or reasoning."""
    said = member(choice, message)
    if said is None:
        return bool(member(choice, "text"))
    return bool(member(said, "content")) or any(member(said, name) for name in _CONTENT)


class Responses:
    """Responses."""

    operation = "chat"
    endpoint = "/responses"

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        self._read(call, reply)
        error = member(reply, "error")
        if error or member(reply, "status") == "failed":
            call.failed_with({"error": plain(error) or {}})

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""
        if member(event, "delta"):
            call.content()
            return
        kind, reply = member(event, "type"), member(event, "response")
        if reply is not None:
            self._read(call, reply)
            if kind in _LAST:
                call.complete = True
                if kind == "response.failed":
                    call.failed_with({"error": plain(member(reply, "error")) or {}})
        elif kind == "error" or member(event, "error"):
            error = member(event, "error")
            call.failed_with(plain(event) if error is None else {"error": plain(error)})

    def _read(self, call: ObservedCall, reply: Any) -> None:
        usage = member(reply, "usage")
        if usage is not None:
            call.usage(openai_usage(plain(usage)))
        stopped = member(reply, "incomplete_details")
        if stopped is not None and member(stopped, "reason") == "content_filter":
            call.filtered(call.said_something or bool(member(reply, "output")))


class Embeddings:
    """Embeddings, which are never streamed."""

    operation = "embeddings"
    endpoint = "/embeddings"

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        call.usage(openai_usage(plain(member(reply, "usage"))))

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""
