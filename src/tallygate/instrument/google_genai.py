"""The library ``google-genai``: contents and embeddings, of Gemini's own API and of Vertex AI.

Chats, automatic function calling and continuations make several calls of a model; each is recorded as one.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator, Mapping
from contextvars import Token
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tallygate.errors import ErrorType
from tallygate.facts import LLMCall
from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.hosts import provider_at
from tallygate.instrument.support.llm_calls import ObservedCall, Reader, members, ongoing, watched, watched_async
from tallygate.instrument.support.once import inside
from tallygate.instrument.support.watchers import Watchers
from tallygate.record.classify import http_status
from tallygate.record.recorder import UNKNOWN_MODEL
from tallygate.wire.errors import GEMINI_FILTERED
from tallygate.wire.tokens import gemini_usage

if TYPE_CHECKING:
    from google.genai import Client
    from google.genai.client import AsyncClient

    from tallygate.record.recorder import Recorder

_CONTENT: Final = ("function_call", "inline_data", "file_data", "executable_code", "code_execution_result")

_watchers: Watchers | None = None


def google_genai(client: Client | AsyncClient | None = None, *, tally: Recorder | None = None) -> Instrumentation:
    """Record the calls of this client, ``client.aio`` included; without one, of all clients, those made before too.

    A call of several instrumentations is recorded once: by the client's own, else by the latest. Raises
    NotInstrumentable for anything that is no client, ImportError without the library.
    """
    global _watchers
    from google.genai import Client
    from google.genai.client import AsyncClient

    if _watchers is None:
        _watchers = Watchers("google-genai", _patch)
    if client is None:
        return _watchers.add(None, tally)
    if not isinstance(client, (Client, AsyncClient)):
        raise NotInstrumentable(
            "instrument.google_genai() takes a client of google-genai, or nothing for all of them; "
            f"got {type(client).__name__}"
        )
    return _watchers.add(client._api_client, tally)


class Generate:
    """generateContent."""

    operation = "generate_content"

    def __init__(self, method: str) -> None:
        self.endpoint = f"/models/{{model}}:{method}"

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        known = members(reply)
        raw = known.get("sdk_http_response")
        if raw is not None and raw.body:  # it was asked for in place of the reply
            try:
                known = _in_snake_case(json.loads(raw.body))
            except (ValueError, RecursionError):
                call.failure = ErrorType.PROVIDER_INVALID_RESPONSE
                return
        self._read(call, known, False)

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""
        self._read(call, members(event), True)

    def _read(self, call: ObservedCall, known: dict[str, Any], streamed: bool) -> None:
        said, filtered = False, False
        for candidate in known.get("candidates") or ():
            own = members(candidate)
            content, reason = own.get("content"), own.get("finish_reason")
            if content is not None and not said:
                said = _say_something(members(content).get("parts") or ())
            if reason is not None:
                call.complete = True
                filtered = filtered or reason in GEMINI_FILTERED
        if said and streamed:
            call.content()
        usage = known.get("usage_metadata")
        if usage is not None:
            if call.counts is None:
                call.counts = []
            get = members(usage).get
            told = (
                get("prompt_token_count"),
                get("tool_use_prompt_token_count"),
                get("candidates_token_count"),
                get("thoughts_token_count"),
                get("cached_content_token_count"),
            )
            call.usage(gemini_usage(call.counts, told))
        feedback = known.get("prompt_feedback")
        if feedback is not None and members(feedback).get("block_reason"):
            call.complete = filtered = True
        if filtered:
            call.filtered(said or call.said_something)


def _say_something(parts: Iterable[Any]) -> bool:
    """Whether these parts of a content carry anything; a signature alone is nothing."""
    for part in parts:
        known = members(part)
        if known.get("text"):
            return True
        for name in _CONTENT:
            if known.get(name) is not None:
                return True
    return False


def _in_snake_case(document: Any) -> Any:
    """A JSON document with names as the library's objects have them."""
    if isinstance(document, dict):
        return {
            re.sub("[A-Z]", lambda found: f"_{found[0].lower()}", name): _in_snake_case(value)
            for name, value in document.items()
        }
    return [_in_snake_case(item) for item in document] if isinstance(document, list) else document


class Embed:
    """Embeddings, of which Vertex AI alone tells the tokens."""

    operation = "embeddings"

    def __init__(self, method: str) -> None:
        self.endpoint = f"/models/{{model}}:{method}"

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""
        known = members(reply)
        usage = known.get("usage_metadata")
        tokens = None if usage is None else members(usage).get("prompt_token_count")
        if tokens is None:
            counts: list[Any] = []
            for one in known.get("embeddings") or ():
                statistics = members(one).get("statistics")
                counts.append(statistics and members(statistics).get("token_count"))
            if counts and None not in counts:
                tokens = int(sum(counts))
        if tokens is not None:
            call.usage(gemini_usage([], (tokens, None, None, None, None)))

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event; there are none."""


GENERATE: Final = Generate("generateContent")
STREAM: Final = Generate("streamGenerateContent")
BATCH_EMBED: Final = Embed("batchEmbedContents")
EMBED: Final[Mapping[str, Reader]] = {"PREDICT": Embed("predict"), "EMBED_CONTENT": Embed("embedContent")}


@lru_cache(1024)
def _model_label(model: str) -> str:
    """The model's own name, of names like models/gemini-2.5-pro and publishers/google/models/gemini-2.5-pro."""
    return model.rpartition("/")[2] or UNKNOWN_MODEL


@lru_cache(256)
def _provider_at(base_url: str | None) -> str:
    return provider_at(urlsplit(base_url or "").hostname or "", "gemini")


class _Call(ObservedCall):
    """A call of this library."""

    asked = False
    """Whether aiohttp was asked for the answer of the request that is being sent."""


def _begin(owner: Any, reader: Reader, given: dict[str, Any], stream: bool = False) -> _Call | None:
    """The call that this makes; None when nobody records it."""
    api = owner._api_client
    recorder = None if _watchers is None else _watchers.recorder(api)
    if recorder is None or inside.get() or ongoing.get() is not None:
        return None
    try:
        if reader is BATCH_EMBED and (kind := given.get("embedding_api_type")) is not None:
            reader = EMBED.get(kind.value, BATCH_EMBED)
        model = given.get("model")
        label = _model_label(model) if isinstance(model, str) else UNKNOWN_MODEL
        provider = "vertex" if api.vertexai else _provider_at(api._http_options.base_url)
        return _Call(recorder, reader, provider, label, stream)
    except Exception as problem:
        recorder.failed(LLMCall, problem)
        return None


def _patch(patches: Instrumentation) -> None:
    from google.genai import _api_client
    from google.genai.models import AsyncModels, Models

    patches.wrap(Models, "_generate_content", lambda original: _whole(original, GENERATE))
    patches.wrap(Models, "_embed_content", lambda original: _whole(original, BATCH_EMBED))
    patches.wrap(Models, "_generate_content_stream", _stream)
    patches.wrap(AsyncModels, "_generate_content", lambda original: _async_whole(original, GENERATE))
    patches.wrap(AsyncModels, "_embed_content", lambda original: _async_whole(original, BATCH_EMBED))
    patches.wrap(AsyncModels, "_generate_content_stream", _async_stream)
    patches.wrap(_api_client.BaseApiClient, "_request_once", _request_once)
    patches.wrap(_api_client.BaseApiClient, "_async_request_once", _async_request_once)
    if _api_client.has_aiohttp:
        from aiohttp import ClientSession

        patches.wrap(ClientSession, "_request", lambda original: _session_request(original, patches))


def _leave(token: Token[Any]) -> None:
    try:
        token.var.reset(token)
    except ValueError:
        # A coroutine that is finished in another context than it began in: what was set is gone with the first.
        return


def _whole(original: Callable[..., Any], reader: Reader) -> Callable[..., Any]:
    @wraps(original)
    def whole(self: Any, **given: Any) -> Any:
        call = _begin(self, reader, given)
        if call is None:
            return original(self, **given)
        token = ongoing.set(call)
        try:
            reply = original(self, **given)
        except BaseException as problem:
            call.fail(problem)
            raise
        finally:
            ongoing.reset(token)
        call.whole(reply)
        call.ended()
        return reply

    return whole


def _async_whole(original: Callable[..., Awaitable[Any]], reader: Reader) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def whole(self: Any, **given: Any) -> Any:
        call = _begin(self, reader, given)
        if call is None:
            return await original(self, **given)
        token = ongoing.set(call)
        try:
            reply = await original(self, **given)
        except BaseException as problem:
            call.fail(problem)
            raise
        finally:
            _leave(token)
        call.whole(reply)
        call.ended()
        return reply

    return whole


def _stream(original: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
    @wraps(original)
    def stream(self: Any, **given: Any) -> Generator[Any]:
        call = _begin(self, STREAM, given, True)
        items = original(self, **given)
        yield from items if call is None else watched(_sent_at_first(items, call), call)

    return stream


_END: Final = object()


def _sent_at_first(items: Iterator[Any], call: _Call) -> Generator[Any]:
    """These items, the first of which sends the request."""
    token = ongoing.set(call)
    try:
        first = next(items, _END)
    finally:
        ongoing.reset(token)
    if first is not _END:
        yield first
        yield from items


def _async_stream(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def stream(self: Any, **given: Any) -> AsyncIterator[Any]:
        call = _begin(self, STREAM, given, True)
        if call is None:
            return await original(self, **given)  # type: ignore[no-any-return]  # the library's iterator
        token = ongoing.set(call)
        try:
            items = await original(self, **given)
        except BaseException as problem:
            call.fail(problem)
            raise
        finally:
            _leave(token)
        return watched_async(items, call)

    return stream


def _sending() -> tuple[_Call, Token[bool]] | None:
    """A request leaves: the call that it is of, if any."""
    call = ongoing.get()
    if not isinstance(call, _Call) or inside.get():
        return None
    call.sending()
    call.asked = False
    return call, inside.set(True)


def _lost(call: _Call, problem: BaseException) -> None:
    """The request gave this: the library's exception for an error's answer, or what happened to it on the way."""
    status = http_status(problem) if hasattr(problem, "details") else None
    if status is None:
        call.unanswered(problem)
    else:
        call.answered(status)


def _request_once(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def request_once(self: Any, http_request: Any, stream: bool = False) -> Any:
        sending = _sending()
        if sending is None:
            return original(self, http_request, stream)
        call, token = sending
        try:
            response = original(self, http_request, stream)
        except BaseException as problem:
            _lost(call, problem)
            raise
        finally:
            inside.reset(token)
        call.answered(200, stream)
        return response

    return request_once


def _async_request_once(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @wraps(original)
    async def request_once(self: Any, http_request: Any, stream: bool = False, **further: Any) -> Any:
        sending = _sending()
        if sending is None:
            return await original(self, http_request, stream, **further)
        call, token = sending
        try:
            response = await original(self, http_request, stream, **further)
        except BaseException as problem:
            _lost(call, problem)
            raise
        finally:
            _leave(token)
        call.answered(200, stream)
        return response

    return request_once


def _session_request(
    original: Callable[..., Awaitable[Any]], patches: Instrumentation
) -> Callable[..., Awaitable[Any]]:
    """aiohttp's request, which the library sends a second time when the connection failed."""

    @wraps(original)
    async def request(self: Any, *given: Any, **further: Any) -> Any:
        call = ongoing.get()
        if patches.removed or not isinstance(call, _Call) or not inside.get():
            return await original(self, *given, **further)
        if call.asked:
            call.sending()
        call.asked = True
        try:
            return await original(self, *given, **further)
        except BaseException as problem:
            call.unanswered(problem)
            raise

    return request
