"""Trackers around what is called or iterated over: functions, coroutines, generators and streams of any make."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping
from functools import partial, wraps
from typing import Any, TypeVar, cast

from tallygate.facts import LLMCall
from tallygate.record.default import default
from tallygate.record.nothing import NO_CALL

T = TypeVar("T")

Usage = Callable[[Any], Mapping[str, int | None] | None]
"""Tells the tokens of a result or of an item of a stream, by the arguments of ``call.usage``; None when it has none."""
Content = Callable[[Any], bool]
"""Whether an item of a stream has content: text, a tool call, reasoning."""


def tracked(make: Callable[[], Any], *, usage: Usage | None = None, content: Content | None = None) -> Callable[[T], T]:
    """Track every call of a function, or one iteration, with the trackers that ``make`` makes.

        @tracked(partial(tallygate.track_query, "find_user"))
        async def find_user(...): ...

        for item in tracked(make)(stream): ...

    Takes functions, coroutine functions, generator functions (async ones too), and iterators (async ones too) as
    objects; what a function returns may be an awaitable or an iterator: then it is tracked to its own end. It ends when
    that does: finished, failed, closed, cancelled, or thrown away. Everything is forwarded and nothing is changed.

    usage, content: for LLM calls, see there; what they raise is counted as dropped. Raises TypeError for what can
    neither be called nor iterated over.
    """
    reader = Reader(make, usage, content)

    def wrap(target: T) -> T:
        return cast("T", _wrapped(target, reader))

    return wrap


class Reader:
    """How something is tracked, and what is read from it."""

    __slots__ = ("content", "make", "usage")

    def __init__(self, make: Callable[[], Any], usage: Usage | None, content: Content | None) -> None:
        self.make, self.usage, self.content = make, usage, content

    def started(self) -> Any:
        """A tracker that runs."""
        try:
            return self.make().start()
        except Exception as problem:
            default.recorder.failed(LLMCall, problem)
            return NO_CALL

    def item(self, tracker: Any, item: object) -> None:
        """An item of a stream is here."""
        try:
            if self.content is not None and self.content(item):
                tracker.content()
        except Exception as problem:
            default.recorder.failed(LLMCall, problem)
        self.result(tracker, item)

    def result(self, tracker: Any, result: object) -> None:
        """The result, or an item, is here."""
        try:
            told = None if self.usage is None else self.usage(result)
            if told:
                tracker.usage(**told)
        except Exception as problem:
            default.recorder.failed(LLMCall, problem)

    def returned(self, tracker: Any, result: Any) -> Any:
        """What a function returned: ended, or tracked to its own end."""
        if isinstance(result, AsyncIterator):
            return TrackedAsyncIterator(result, self, tracker)
        if isinstance(result, Iterator):
            return TrackedIterator(result, self, tracker)
        if inspect.isawaitable(result):
            return self.awaited(tracker, result)
        self.result(tracker, result)
        tracker.__exit__(None, None, None)
        return result

    async def awaited(self, tracker: Any, result: Awaitable[Any]) -> Any:
        try:
            value = await result
        except BaseException as problem:
            tracker.__exit__(type(problem), problem, problem.__traceback__)
            raise
        return self.returned(tracker, value)


def _wrapped(target: Any, reader: Reader) -> Any:
    if isinstance(target, AsyncIterator):
        return TrackedAsyncIterator(target, reader)
    if isinstance(target, Iterator):
        return TrackedIterator(target, reader)
    if not callable(target):
        raise TypeError(f"tracked() takes a function or an iterator, not a {type(target).__name__}")
    for is_kind, around in (
        (inspect.isasyncgenfunction, _async_generator),
        (inspect.isgeneratorfunction, _generator),
        (inspect.iscoroutinefunction, _coroutine),
    ):
        if is_kind(target):
            return around(target, reader)
    return _function(target, reader)


def _function(function: Callable[..., Any], reader: Reader) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        tracker = reader.started()
        try:
            result = function(*args, **kwargs)
        except BaseException as problem:
            tracker.__exit__(type(problem), problem, problem.__traceback__)
            raise
        return reader.returned(tracker, result)

    return call


def _coroutine(function: Callable[..., Awaitable[Any]], reader: Reader) -> Callable[..., Awaitable[Any]]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        return await reader.awaited(reader.started(), result)

    return call


def _generator(function: Callable[..., Iterator[Any]], reader: Reader) -> Callable[..., Iterator[Any]]:
    @wraps(function)
    def generate(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        returned: Any = yield from TrackedIterator(function(*args, **kwargs), reader)
        return returned

    return generate


def _async_generator(function: Callable[..., AsyncGenerator[Any]], reader: Reader) -> Callable[..., AsyncIterator[Any]]:
    @wraps(function)
    async def generate(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        inner = TrackedAsyncIterator(function(*args, **kwargs), reader)
        step = partial(inner.__anext__)
        while True:
            try:
                item = await step()
            except StopAsyncIteration:
                return
            try:
                sent = yield item
            except GeneratorExit:
                await inner.aclose()
                raise
            except BaseException as problem:
                step = partial(inner.athrow, problem)
            else:
                step = partial(inner.asend, sent)

    return generate


class _Tracked:
    """What both kinds of stream have in common: a tracker from the first item asked for to the end."""

    def __init__(self, inner: Any, reader: Reader, tracker: Any = None) -> None:
        self._inner, self._reader, self._tracker = inner, reader, tracker

    def _started(self) -> Any:
        if self._tracker is None:
            self._tracker = self._reader.started()
        return self._tracker

    def _end(self, problem: BaseException | None = None) -> None:
        if self._tracker is not None:
            kind = None if problem is None else type(problem)
            self._tracker.__exit__(kind, problem, None if problem is None else problem.__traceback__)

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":  # a copy in the making
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __del__(self) -> None:
        self._end(GeneratorExit())


class TrackedIterator(_Tracked):
    """An iterator that is tracked to its end; a generator in all that its inner one is."""

    def __iter__(self) -> TrackedIterator:
        return self

    def __next__(self) -> Any:
        return self._step(self._inner.__next__)

    def send(self, value: Any) -> Any:
        """As a generator's."""
        return self._step(self._inner.__next__ if value is None else partial(self._inner.send, value))

    def throw(self, *problem: Any) -> Any:
        """As a generator's; an iterator that cannot be thrown at is left with the exception."""
        return self._step(partial(_method(self._inner, "throw", _raised), *problem))

    def close(self) -> None:
        """End it early; again is once."""
        try:
            _method(self._inner, "close", _nothing)()
        finally:
            self._end(GeneratorExit())

    def _step(self, step: Callable[[], Any]) -> Any:
        tracker = self._started()
        try:
            item = step()
        except StopIteration:
            self._end()
            raise
        except BaseException as problem:
            self._end(problem)
            raise
        self._reader.item(tracker, item)
        return item

    def __enter__(self) -> TrackedIterator:
        _method(self._inner, "__enter__", _nothing)()
        return self

    def __exit__(self, *ending: Any) -> Any:
        try:
            return _method(self._inner, "__exit__", _nothing)(*ending)
        finally:
            self._end(ending[1] or GeneratorExit())


class TrackedAsyncIterator(_Tracked):
    """An async iterator that is tracked to its end; an async generator in all that its inner one is."""

    def __aiter__(self) -> TrackedAsyncIterator:
        return self

    async def __anext__(self) -> Any:
        return await self._step(self._inner.__anext__)

    async def asend(self, value: Any) -> Any:
        """As an async generator's."""
        return await self._step(self._inner.__anext__ if value is None else partial(self._inner.asend, value))

    async def athrow(self, *problem: Any) -> Any:
        """As an async generator's; an iterator that cannot be thrown at is left with the exception."""
        return await self._step(partial(_method(self._inner, "athrow", _araised), *problem))

    async def aclose(self) -> None:
        """End it early; again is once."""
        try:
            await _method(self._inner, "aclose", _anothing)()
        finally:
            self._end(GeneratorExit())

    async def _step(self, step: Callable[[], Awaitable[Any]]) -> Any:
        tracker = self._started()
        try:
            item = await step()
        except StopAsyncIteration:
            self._end()
            raise
        except BaseException as problem:
            self._end(problem)
            raise
        self._reader.item(tracker, item)
        return item

    async def __aenter__(self) -> TrackedAsyncIterator:
        await _method(self._inner, "__aenter__", _anothing)()
        return self

    async def __aexit__(self, *ending: Any) -> Any:
        try:
            return await _method(self._inner, "__aexit__", _anothing)(*ending)
        finally:
            self._end(ending[1] or GeneratorExit())


def _method(inner: object, name: str, otherwise: Callable[..., Any]) -> Callable[..., Any]:
    """A method of what is wrapped, or what stands in for one that it lacks."""
    return cast("Callable[..., Any]", getattr(inner, name, otherwise))


def _nothing(*_: object) -> None:
    return None


async def _anothing(*_: object) -> None:
    return None


def _raised(problem: Any, *_: object) -> Any:
    raise problem


async def _araised(problem: Any, *_: object) -> Any:
    raise problem
