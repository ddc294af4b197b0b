"""The library ``openai``: chat completions, completions, responses and embeddings, whoever serves them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tallygate.instrument.patching import Instrumentation
from tallygate.instrument.support.hosts import provider_at
from tallygate.instrument.support.known_calls import delta, reading
from tallygate.instrument.support.llm_calls import ObservedCall, member, plain
from tallygate.instrument.support.stainless import SDK
from tallygate.wire.tokens import MOST, openai_usage

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

    from tallygate.record.recorder import Recorder

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
    from openai import AsyncStream, Stream, _ModuleClient
    from openai._base_client import AsyncAPIClient, SyncAPIClient
    from openai._legacy_response import LegacyAPIResponse
    from openai._response import BaseAPIResponse
    from openai.lib.azure import BaseAzureClient

    def provider(client: Any) -> str:
        return "azure" if isinstance(client, BaseAzureClient) else provider_at(client.base_url.host, "openai")

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
        unsteady=(_ModuleClient,),
    )


class Chat:
    """Chat completions, and the completions before them, which differ in names only."""

    def __init__(self, operation: str, endpoint: str) -> None:
        self.operation, self.endpoint = operation, endpoint
        self.reading = reading(
            "usage",
            input_tokens=(("prompt_tokens",),),
            output_tokens=(("completion_tokens",),),
            cache_read=(("prompt_tokens_details", "cached_tokens"),),
            cache_write=(("prompt_tokens_details", "cache_write_tokens"),),
            reasoning=(("completion_tokens_details", "reasoning_tokens"),),
            total="total_tokens",
            never=((("choices", "*", "finish_reason"), ("content_filter",)),),
            closed=True,
        )
        nothing_else = ((("choices", "*", "finish_reason"), (None,)), (("usage",), (None,)))
        deltas = (("delta", "content"), ("delta", "tool_calls"), ("text",))
        self.delta = delta(*(("choices", "*", *names) for names in deltas), must=nothing_else)

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        known = reply if type(reply) is dict else reply.__dict__
        for choice in known.get("choices") or ():
            if (choice if type(choice) is dict else choice.__dict__).get("finish_reason") == "content_filter":
                call.filtered(_says_something(choice, "message"))
        usage = known.get("usage")
        if usage is None:
            self._read_rest(call, reply)
        else:
            read_usage(call, usage)

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""
        # On the way of every chunk: what is usual is looked at here, without a call.
        known, said = event if type(event) is dict else event.__dict__, False
        choices = known.get("choices")
        for choice in choices or ():
            part = choice if type(choice) is dict else choice.__dict__
            if not said:
                delta = part.get("delta")
                content = delta and (delta if type(delta) is dict else delta.__dict__).get("content")
                if content or _says_something(choice, "delta"):
                    said = call.said_something = True
                    call.tracker.content()
            reason = part.get("finish_reason")
            if reason:
                call.complete = True
                if reason == "content_filter":
                    call.filtered(call.said_something)
        usage = known.get("usage")
        if usage is not None:
            read_usage(call, usage)
        elif call.complete or not choices:
            self._read_rest(call, event)

    def _read_rest(self, call: ObservedCall, reply: Any) -> None:
        """What only some providers tell, and where."""
        groq = member(reply, "x_groq")
        if groq is not None:
            call.usage(openai_usage(plain(member(groq, "usage"))))
        error = member(reply, "error")
        if error:
            call.failed_with({"error": plain(error)})


_CHAT_USAGE: Final = ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details")
_RESPONSES_USAGE: Final = ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details")


def read_usage(call: ObservedCall, usage: Any, names: tuple[str, str, str, str] = _CHAT_USAGE) -> None:
    """Usage as OpenAI itself writes it is read at a fraction of the price; all other by ``openai_usage``."""
    tokens = None if type(usage) is dict else _tokens(usage, names)
    if tokens is None:
        call.usage(openai_usage(plain(usage)))
    else:
        call.tracker.usage(*tokens)


def _tokens(usage: Any, names: tuple[str, str, str, str]) -> tuple[int, int, int, int, int] | None:
    """Usage of the library's own kind, as OpenAI itself writes it; None for any other."""
    if usage.__pydantic_extra__:
        return None
    told = usage.__dict__
    read, written, inner, outer = told.get(names[0]), told.get(names[1]), told.get(names[2]), told.get(names[3])
    hit = stored = thought = 0
    if inner is not None:
        if inner.__pydantic_extra__:
            return None
        details = inner.__dict__
        hit, stored = details.get("cached_tokens") or 0, details.get("cache_write_tokens") or 0
    if outer is not None:
        if outer.__pydantic_extra__:
            return None
        thought = outer.__dict__.get("reasoning_tokens") or 0
    if (
        type(read) is type(written) is type(hit) is type(stored) is type(thought) is int
        and hit >= 0 <= stored
        and hit + stored <= read <= MOST
        and 0 <= thought <= written <= MOST
        # A total with the reasoning on top means that the output left it out.
        and (not thought or told.get("total_tokens") == read + written)
    ):
        return read, written, hit, stored, thought
    return None


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
    delta = delta(("delta",))

    reading = reading(
        "usage",
        input_tokens=(("input_tokens",),),
        output_tokens=(("output_tokens",),),
        cache_read=(("input_tokens_details", "cached_tokens"),),
        cache_write=(("input_tokens_details", "cache_write_tokens"),),
        reasoning=(("output_tokens_details", "reasoning_tokens"),),
        total="total_tokens",
        must=((("status",), ("completed",)), (("error",), (None,))),
        closed=True,
    )

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        self._read(call, reply)
        error = member(reply, "error")
        if error or member(reply, "status") == "failed":
            call.failed_with({"error": plain(error) or {}})

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""
        if member(event, "delta"):
            call.said_something = True
            call.tracker.content()
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
            read_usage(call, usage, _RESPONSES_USAGE)
        stopped = member(reply, "incomplete_details")
        if stopped is not None and member(stopped, "reason") == "content_filter":
            call.filtered(call.said_something or bool(member(reply, "output")))


class Embeddings:
    """Embeddings, which are never streamed."""

    operation = "embeddings"
    endpoint = "/embeddings"
    reading = None

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        call.usage(openai_usage(plain(member(reply, "usage"))))

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""
