"""LLM calls made with an HTTP client: which requests are one, and the reply metered as its user reads it.

Needs msgspec, so only those who need it import it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import msgspec

from tallygate.errors import ErrorType
from tallygate.facts import LLMCall
from tallygate.instrument.support.hosts import provider_at
from tallygate.instrument.support.llm_calls import ObservedCall
from tallygate.instrument.support.once import inside
from tallygate.record.recorder import UNKNOWN_MODEL
from tallygate.wire.decoding import READABLE
from tallygate.wire.formats import WIRES

if TYPE_CHECKING:
    from contextvars import Token
    from types import TracebackType

    from tallygate.instrument.patching import Instrumentation
    from tallygate.wire.interface import Meter, Usage, Wire

PATHS: Final = (
    ("/chat/completions", "openai_chat"),
    ("/completions", "openai_completions"),
    ("/responses", "openai_responses"),
    ("/embeddings", "openai_embeddings"),
    ("/v1/messages", "anthropic_messages"),  # OpenAI's threads have messages as well
)
"""How the paths of the wire formats end, whatever a provider puts before them."""
GEMINI: Final = re.compile(r"/models/([^/]+):(g|streamG)enerateContent$")
DEPLOYMENT: Final = re.compile(r"/deployments/([^/]+)/")
"""Where Azure names the model."""


class Request(msgspec.Struct):
    """What is read of a request's body."""

    model: str | None = None
    stream: bool | None = None


_decode = msgspec.json.Decoder(Request).decode


class Target(NamedTuple):
    """Which API a path is of."""

    wire: Wire
    model: str = ""
    """The model, where the path names it."""
    stream: bool = False
    """Whether the path asks for a stream."""


def target_of(path: str) -> Target | None:
    """The API that is called at a path; None when it is none that can be read."""
    for ending, wire in PATHS:
        if path.endswith(ending):
            deployment = DEPLOYMENT.search(path)
            return Target(WIRES[wire], deployment[1] if deployment else "")
    gemini = GEMINI.search(path)
    return Target(WIRES["gemini_generate"], gemini[1], gemini[2] == "streamG") if gemini else None


class Decoder(Protocol):
    """Undoes a content coding."""

    def decode(self, data: bytes, /) -> bytes:
        """The next bytes."""


NO_DECODERS: Final[Mapping[str, Callable[[], Decoder]]] = {}


class Calls:
    """The LLM calls among the requests of one instrumentation.

    hosts: further hosts, with a port or without, and which provider is there. Raises ValueError for what is no host.
    """

    def __init__(self, handle: Instrumentation, hosts: Mapping[str, str]) -> None:
        for host, provider in hosts.items():
            if not re.fullmatch(r"[^/\s:]+(:\d+)?|\[[^/\s]+\](:\d+)?", host) or not provider:
                raise ValueError(f"hosts: {host!r}: {provider!r} is no host and its provider; say 'host:port': 'name'")
        self._handle = handle
        self._hosts = {host.lower(): provider for host, provider in hosts.items()}

    def begin(self, method: str, host: str, port: int | None, path: str, body: Callable[[], Any]) -> HTTPCall | None:
        """The call that this request makes, its clock started; None when it is none, or somebody else records it.

        body: gives the request's body, as bytes, text or the mapping that JSON is made of; None when nobody can tell.
        """
        recorder = self._handle.recorder
        if method != "POST" or not recorder.enabled or self._handle.removed or inside.get():
            return None
        try:
            provider = self._provider(host.lower(), port)
            target = target_of(path) if provider else None
            if target is None:
                return None
            wire = target.wire
            model, stream = _head(body())
            reader = _Unasked(wire.operation, wire.endpoint)
            model = target.model or model or UNKNOWN_MODEL
            return HTTPCall(ObservedCall(recorder, reader, provider, model, target.stream or stream), wire)
        except Exception as problem:
            recorder.failed(LLMCall, problem)
            return None

    def _provider(self, host: str, port: int | None) -> str:
        given = self._hosts
        return given.get(f"{host}:{port}") or given.get(host) or provider_at(host, "")


def _head(body: Any) -> tuple[str, bool]:
    """Model ('' when it names none) and whether a stream is asked for."""
    if isinstance(body, Mapping):
        model, stream = body.get("model"), body.get("stream")
    elif isinstance(body, bytes | bytearray | str):
        try:
            request = _decode(body)
        except (ValueError, RecursionError):  # what it is, is for the provider to say
            return "", False
        model, stream = request.model, request.stream
    else:
        return "", False
    return model if isinstance(model, str) else "", stream is True


@dataclass(slots=True)
class _Unasked:
    """Names a call's API. Its replies are read as bytes, so it is never asked for more."""

    operation: str
    endpoint: str

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """As Reader.whole."""

    def event(self, call: ObservedCall, event: Any) -> None:
        """As Reader.event."""


class HTTPCall:
    """One LLM call that is one request. Its block is around what sends it and returns when the reply's head is here."""

    def __init__(self, call: ObservedCall, wire: Wire) -> None:
        self.observed, self._wire = call, wire
        self._token: Token[object] | None = None

    def __enter__(self) -> None:
        self.observed.sending()
        self._token = inside.set(True)

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            inside.reset(self._token)
        if problem is not None:
            self.observed.unanswered(problem)
            self.observed.fail(problem)

    def replied(
        self,
        status: int,
        content_type: str,
        content_encoding: str,
        decoders: Mapping[str, Callable[[], Decoder]] = NO_DECODERS,
    ) -> MeteredBody:
        """The head of the reply is here; its body is to be told to what this returns.

        content_encoding: of the bytes that it will be told. decoders: by coding, for those that meters cannot undo.
        """
        call = self.observed
        call.answered(status, unread=True)
        coding, decoder = content_encoding.strip().lower(), None
        if coding not in READABLE and coding in decoders:
            coding, decoder = "", decoders[coding]()
        stream = call.stream or content_type.startswith("text/event-stream")
        meter = self._wire.meter(stream=stream, status=status, content_encoding=coding, hide_usage=False)
        return MeteredBody(call, meter, decoder)


class MeteredBody:
    """The bytes of a reply's body, in the order they come, told to its call. Never raises, and holds none of them."""

    def __init__(self, call: ObservedCall, meter: Meter, decoder: Decoder | None) -> None:
        self._call, self._decoder = call, decoder
        self._meter: Meter | None = meter
        self._contents = 0
        self._usage: Usage | None = None
        self._note(meter)

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if self._meter is not None and not self._call.over:
            try:
                self._meter.feed(piece if self._decoder is None else self._decoder.decode(piece))
                self._note(self._meter)
            except Exception as problem:
                self._give_up(problem)

    def end(self) -> None:
        """There are no more."""
        call, meter = self._call, self._meter
        if meter is not None and not call.over:
            try:
                meter.close()
                self._note(meter)
                if not meter.complete and not call.stream:
                    call.failure = call.failure or ErrorType.PROVIDER_INVALID_RESPONSE
            except Exception as problem:
                self._give_up(problem)

    def _note(self, meter: Meter) -> None:
        call = self._call
        if meter.contents != self._contents:
            call.said_something = True
            call.tracker.content(meter.contents - self._contents)
            self._contents = meter.contents
        if meter.usage is not self._usage:
            self._usage = meter.usage
            call.usage(meter.usage)
        if meter.failure is not None:  # by the status at first, by the body once that is read
            call.failure = meter.failure.error_type
        call.complete = meter.complete

    def _give_up(self, problem: Exception) -> None:
        """A defect of ours: the reply goes on unread, and the call counts as unmetered."""
        self._meter, self._call.complete = None, True
        self._call.recorder.failed(LLMCall, problem)
