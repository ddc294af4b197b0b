"""What the instrumentations of LLM libraries share: one call as its library makes it, and the streams that it gives.

Nothing here raises into the program: what goes wrong with the reading is counted as dropped, and the call goes on.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tallygate.errors import ErrorType, error_type_of_status
from tallygate.facts import LLMCall
from tallygate.record.classify import NO_STATUS, ending_of
from tallygate.wire.errors import failure_of

if TYPE_CHECKING:
    from types import TracebackType

    from tallygate.record.recorder import Recorder
    from tallygate.wire.interface import Usage

T = TypeVar("T")


class Reader(Protocol):
    """Knows one API of a library: what a reply and an event of a stream say."""

    operation: str
    """In the words of the GenAI conventions: chat, text_completion, embeddings, generate_content."""
    endpoint: str
    """The provider's path as a label."""

    def whole(self, call: ObservedCall, reply: Any) -> None:
        """Read a reply: the library's own object, or the dict of its JSON. May raise: then it counts as dropped."""

    def event(self, call: ObservedCall, event: Any) -> None:
        """Read one event of a stream, likewise; says ``call.tracker.content()`` for a content delta."""


class ObservedCall:
    """One call, with the requests that it makes on the wire; it ends once, whichever of the ways is first."""

    # What most calls leave as it is stands at the class: making one is on every call's way.
    failure: ErrorType | None = None
    """An error that the reply told."""
    complete = False
    """Whether the reply's own end was seen."""
    said_something = False
    """Whether there was any content."""
    read = False
    """Whether a whole reply was read."""
    reading = False
    """Whether the library is fetching the next event just now: what it closes then was not closed by its user."""
    unread = False
    """Whether the body of the answer is read after the library has returned."""
    over = False
    counts: Any = None
    """What its reader keeps from one event to the next."""
    answer: Any = None
    """The answer of which the library has all and has not yet made a reply."""
    sent = 0.0
    """When the last request left, by ``perf_counter``; 0 when it has been recorded, or none has left."""
    seconds: float | None = None
    """What it took to its answer, unless that is unread."""
    status: int | None = None
    """What it was answered with."""
    _limited = False
    _headers: float | None = None
    _lost = ""

    def __init__(self, recorder: Recorder, reader: Reader, provider: str, model: str, stream: bool) -> None:
        """Its clock starts now."""
        self.recorder, self.reader, self.stream = recorder, reader, stream
        self.tracker = recorder.track_llm_call(provider, model, reader.operation, reader.endpoint, None, stream).start()

    # Requests on the wire

    def sending(self) -> None:
        """A request leaves. The one before it, if any, is retried by this one."""
        if self.sent:
            self._end_attempt(self._retried())
            self.seconds = self._headers = self.status = None
            self.unread = False
        self.sent = perf_counter()

    def answered(self, status: int, unread: bool = False) -> None:
        """The request has its answer; ``unread``: the head of it, and the body is still to be read."""
        self.status, seconds = status, perf_counter() - self.sent
        if unread:
            self._headers = seconds
        if unread and status < 400:
            self.unread = True
            self.tracker.headers()
        else:
            self.seconds = seconds
        if status == 429:
            self._limited = True
            self.tracker.rate_limited()

    def unanswered(self, problem: BaseException) -> None:
        """The request failed on the way."""
        self.seconds = perf_counter() - self.sent
        self._lost = ending_of(problem, replied(problem)).error_type
        if self._lost == ErrorType.GATEWAY_INTERNAL:
            self.sent = 0.0  # the library itself gave up before anything had left

    def _retried(self) -> str:
        if self.status is None:
            return self._lost
        return error_type_of_status(self.status).value if self.status >= 400 else ""

    def _end_attempt(self, error_type: str) -> None:
        if self.sent:
            seconds = self.seconds
            if seconds is None:
                seconds = perf_counter() - self.sent
            self.tracker.attempt(
                seconds=seconds,
                seconds_to_headers=self._headers,
                status_code=self.status or NO_STATUS,
                error_type=error_type,
            )
            self.sent = 0.0

    # What the reply says

    def whole(self, reply: Any) -> None:
        """A reply that is no stream is here."""
        self.read = True
        try:
            self.reader.whole(self, reply)
        except Exception as problem:
            self.recorder.failed(LLMCall, problem)

    def event(self, event: Any) -> None:
        """The next event of a stream is here."""
        if not self.over:
            try:
                self.reader.event(self, event)
            except Exception as problem:
                self.recorder.failed(LLMCall, problem)

    def content(self) -> None:
        """For readers: a content delta (text, tool call, reasoning) just arrived."""
        self.said_something = True
        self.tracker.content()

    def usage(self, usage: Usage | None) -> None:
        """For readers: what the provider reported; a later report replaces an earlier one."""
        if usage is not None:
            self.tracker.usage(
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                usage.reasoning_tokens,
            )

    def failed_with(self, error: Any) -> None:
        """For readers: an error that came in the reply, as JSON; the first stays."""
        self.failure = self.failure or failure_of(200, error).error_type

    def filtered(self, said_something: bool) -> None:
        """For readers: a filter ended the answer, which is a failure when it left nothing of it."""
        if not said_something:
            self.failure = self.failure or ErrorType.POLICY_CONTENT_FILTER

    # Endings

    def ended(self) -> None:
        """The reply came to its end. A stream that did not say its own end was cut."""
        failure = self.failure
        if failure is None and self.stream and not self.complete:
            failure = ErrorType.PROVIDER_STREAM_CUT
        if failure is not None:
            self._finish("failed", self.status or 200, failure.value)
        elif not self.over:
            self.over = True
            if not self.sent:
                self.tracker.close(None)  # answered within the library, say from a cache: no model was asked
                return
            self._end_attempt("")
            self.tracker.__exit__(None, None, None)  # finish() of the most common kind, at a fraction of its price

    def closed(self) -> None:
        """Its user closed or dropped it: cancelled, unless the reply had said all but its last words."""
        if not self.over:
            if self.complete or self.failure is not None:
                self.ended()
            else:
                self.fail(GeneratorExit())

    def fail(self, problem: BaseException) -> None:
        """The library raised this."""
        if self.over:
            return
        try:
            ending = ending_of(problem, self.unread or replied(problem))
            error_type = ending.error_type
            if self.read and error_type != ErrorType.PROVIDER_INVALID_RESPONSE:
                # What was done with the reply went wrong, say by the user's own parser: the call did not.
                self.ended()
                return
            body = getattr(problem, "body", None)
            if not isinstance(body, dict):
                body = getattr(problem, "details", None)
            if ending.outcome == "failed" and isinstance(body, dict):
                status = getattr(problem, "status_code", None)
                error_type = failure_of(status if isinstance(status, int) else 200, body).error_type.value
        except Exception as own_problem:  # an exception whose attributes raise
            self.recorder.failed(LLMCall, own_problem)
            self._finish("failed", NO_STATUS, ErrorType.OTHER.value)
            return
        if error_type == ErrorType.PROVIDER_RATE_LIMIT and not self._limited:
            self.tracker.rate_limited()
        # An error within a stream may name a status of its own: what was sent is that of the head.
        self._finish(ending.outcome, self.status if self.unread and self.status else ending.status_code, error_type)

    def _finish(self, outcome: str, status_code: int | str, error_type: str) -> None:
        if not self.over:
            self.over = True
            self._end_attempt(error_type)
            self.tracker.finish(outcome, status_code, error_type)


def replied(problem: BaseException) -> bool:
    """Whether the head of a reply had arrived before this exception of an HTTP client: it was reading the body then."""
    cause: BaseException | None = problem
    while cause is not None:
        trace: TracebackType | None = cause.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_qualname in ("Response.read", "Response.aread", "ClientResponse.read"):
                return True
            trace = trace.tb_next
        cause = cause.__cause__
    return False


class Body(Protocol):
    """What is made of the bytes of a reply."""

    def feed(self, piece: bytes) -> None:
        """The next bytes."""

    def end(self) -> None:
        """There are no more."""


def _never(item: object) -> bool:
    return False


def _passes_by(call: ObservedCall, body: Body | None) -> Callable[[Any], bool]:
    """Sees to items that are a piece of content and nothing else, and says whether one is; for after the first."""
    delta, binding = getattr(call.reader, "delta", None), getattr(call.tracker, "owner", None)
    if delta is None or binding is None or body is not None:
        return _never
    return partial(delta.see, call.tracker, binding.chunks)


def watched(items: Iterator[T], call: ObservedCall, body: Body | None = None) -> Generator[T]:
    """These items, each told to the call as it passes; with a ``body``, they are its bytes."""
    see: Callable[[Any], None] = partial(call.reader.event, call) if body is None else body.feed
    passes_by: Callable[[Any], bool] = _never
    call.reading = True
    try:
        for item in items:
            if not passes_by(item):
                try:
                    see(item)
                    passes_by = _passes_by(call, body) if call.said_something and not call.complete else _never
                except Exception as problem:
                    call.recorder.failed(LLMCall, problem)
            call.reading = False
            yield item
            call.reading = True
    except GeneratorExit:
        call.closed()
        close: Callable[[], None] | None = getattr(items, "close", None)
        if close is not None:
            close()
        raise
    except BaseException as problem:
        call.fail(problem)
        raise
    else:
        if body is not None:
            body.end()
        call.ended()
    finally:
        call.reading = False


async def watched_async(items: AsyncIterator[T], call: ObservedCall, body: Body | None = None) -> AsyncGenerator[T]:
    """The same for asynchronous ones."""
    see: Callable[[Any], None] = partial(call.reader.event, call) if body is None else body.feed
    passes_by: Callable[[Any], bool] = _never
    call.reading = True
    try:
        async for item in items:
            if not passes_by(item):
                try:
                    see(item)
                    passes_by = _passes_by(call, body) if call.said_something and not call.complete else _never
                except Exception as problem:
                    call.recorder.failed(LLMCall, problem)
            call.reading = False
            yield item
            call.reading = True
    except GeneratorExit:
        call.closed()
        aclose: Callable[[], Any] | None = getattr(items, "aclose", None)
        if aclose is not None:
            await aclose()
        raise
    except BaseException as problem:
        call.fail(problem)
        raise
    else:
        if body is not None:
            body.end()
        call.ended()
    finally:
        call.reading = False


def members(source: Any) -> dict[str, Any]:
    """The members of a JSON object, or those that a library's (pydantic) object was foreseen to have."""
    return source if type(source) is dict else source.__dict__


def member(source: Any, name: str) -> Any:
    """A member, foreseen or not; None when there is none."""
    if type(source) is dict:
        return source.get(name)
    found = source.__dict__.get(name)
    if found is None:
        unforeseen = getattr(source, "__pydantic_extra__", None)
        if unforeseen:
            return unforeseen.get(name)
    return found


def plain(source: Any) -> Any:
    """A library's (pydantic) object as the dict it was made of, its members likewise; anything else as it is."""
    if source is None or type(source) is dict:
        return source
    unforeseen = getattr(source, "__pydantic_extra__", source)
    if unforeseen is source:
        return source
    made = {**source.__dict__, **unforeseen} if unforeseen else source.__dict__.copy()
    for name, value in made.items():
        if value is not None and type(value) is not int:
            made[name] = plain(value)
    return made
