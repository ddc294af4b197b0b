"""The library ``anthropic``: messages, and those of ``client.beta``, whoever serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tallygate.instrument.patching import Instrumentation
from tallygate.instrument.support.hosts import provider_at
from tallygate.instrument.support.known_calls import delta, reading
from tallygate.instrument.support.llm_calls import ObservedCall, member, members, plain
from tallygate.instrument.support.stainless import SDK
from tallygate.wire.tokens import anthropic_usage

if TYPE_CHECKING:
    from anthropic._base_client import AsyncAPIClient, SyncAPIClient

    from tallygate.record.recorder import Recorder

_sdk: SDK | None = None


def anthropic(
    client: SyncAPIClient | AsyncAPIClient | None = None, *, tally: Recorder | None = None
) -> Instrumentation:
    """Record the calls of this client, and of those copied from it; without one, of all clients, those made before too.

    Any client of the library will do: Anthropic, AsyncAnthropic, AnthropicBedrock, AnthropicVertex and so on. A call of
    several instrumentations is recorded once: by the client's own, else by the latest. Raises NotInstrumentable for
    anything that is no client, ImportError without the library.
    """
    global _sdk
    if _sdk is None:
        _sdk = _the_sdk()
    return _sdk.instrument(client, tally)


def _the_sdk() -> SDK:
    import httpx2
    from anthropic import (
        AnthropicBedrock,
        AnthropicBedrockMantle,
        AnthropicFoundry,
        AnthropicVertex,
        AsyncAnthropicBedrock,
        AsyncAnthropicBedrockMantle,
        AsyncAnthropicFoundry,
        AsyncAnthropicVertex,
        AsyncStream,
        Stream,
    )
    from anthropic._base_client import AsyncAPIClient, SyncAPIClient
    from anthropic._response import BaseAPIResponse

    bedrock = (AnthropicBedrock, AsyncAnthropicBedrock, AnthropicBedrockMantle, AsyncAnthropicBedrockMantle)
    vertex = (AnthropicVertex, AsyncAnthropicVertex)
    foundry = (AnthropicFoundry, AsyncAnthropicFoundry)

    def provider(client: Any) -> str:
        if isinstance(client, bedrock):
            return "bedrock"
        if isinstance(client, vertex):
            return "vertex"
        return "azure" if isinstance(client, foundry) else provider_at(client.base_url.host, "anthropic")

    return SDK(
        "anthropic",
        SyncAPIClient,
        AsyncAPIClient,
        Stream,
        AsyncStream,
        (BaseAPIResponse, httpx2.Response),
        {"/v1/messages": Messages()},
        provider,
        "_attempt_request",
    )


class Messages:
    """Messages."""

    operation = "chat"
    endpoint = "/messages"
    delta = delta(
        ("delta", "text"),
        ("delta", "partial_json"),
        ("delta", "thinking"),
        must=((("type",), ("content_block_delta",)),),
    )

    reading = reading(
        "usage",
        input_tokens=(("input_tokens",), ("cache_read_input_tokens",), ("cache_creation_input_tokens",)),
        output_tokens=(("output_tokens",),),
        cache_read=(("cache_read_input_tokens",),),
        cache_write=(("cache_creation_input_tokens",),),
        reasoning=(("output_tokens_details", "thinking_tokens"),),
        must=((("type",), ("message",)), (("usage", "output_tokens_details", "reasoning_tokens"), (None,))),
        never=((("stop_reason",), ("refusal",)),),
    )

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        known = members(reply)
        self._read_usage(call, known.get("usage"))
        if known.get("type") != "message" and (known.get("type") == "error" or member(reply, "error")):
            call.failed_with({"error": plain(member(reply, "error")) or {}})
        elif known.get("stop_reason") == "refusal":
            call.filtered(bool(known.get("content")))

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""
        known = members(event)
        kind = known.get("type")
        if kind == "content_block_delta":
            delta = members(known["delta"])
            if delta.get("text") or delta.get("partial_json") or delta.get("thinking"):
                call.content()
        elif kind == "message_start":
            self._read_usage(call, member(known["message"], "usage"))
        elif kind == "message_delta":
            self._read_usage(call, known.get("usage"))
            if member(known["delta"], "stop_reason") == "refusal":
                call.filtered(call.said_something)
        elif kind == "message_stop":
            call.complete = True
        elif kind == "error":
            call.failed_with({"error": plain(member(event, "error")) or {}})

    def _read_usage(self, call: ObservedCall, usage: Any) -> None:
        if usage is None:
            return
        if call.counts is None:
            call.counts = {}
        call.usage(anthropic_usage(call.counts, members(usage)))
