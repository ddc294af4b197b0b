"""Whatever is wrapped behaves as it did, and is recorded once when it ends."""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import partial
from typing import Any

import pytest

from tallygate import tracked
from tallygate.facts import LLMCall, Query
from tallygate.tally import Tally
from tests.record.reading import dropped, only_row, rows_of

Wrap = Callable[[Any], Any]


@pytest.fixture
def wrap(tally: Tally) -> Wrap:
    return tracked(partial(tally.track_query, "q"))


def statuses(tally: Tally) -> list[str]:
    return [row.dimensions["status"] for row in rows_of(tally, Query) for _ in range(row.count)]


class Broken(Exception):
    pass


def echo() -> Generator[Any, Any, str]:
    """Says what it is sent, and with what it is closed."""
    said: Any = "ready"
    while said != "end":
        try:
            said = yield said
        except Broken as problem:
            said = f"caught {type(problem).__name__}"
    return "returned"


async def async_echo() -> AsyncIterator[Any]:
    said: Any = "ready"
    while said != "end":
        try:
            said = yield said
        except Broken as problem:
            said = f"caught {type(problem).__name__}"


# Functions


def test_a_function(tally: Tally, wrap: Wrap) -> None:
    @wrap
    def add(a: int, b: int = 1) -> int:
        """Add."""
        return a + b

    assert add(1, b=2) == 3
    assert (add.__name__, add.__doc__) == ("add", "Add.")
    with pytest.raises(TypeError):
        add("x")
    assert statuses(tally) == ["success", "error"]


def test_an_exception_passes_unchanged(tally: Tally, wrap: Wrap) -> None:
    problem = Broken()

    def fail() -> None:
        raise problem

    with pytest.raises(Broken) as caught:
        wrap(fail)()
    assert caught.value is problem
    assert caught.traceback[-1].name == "fail"
    assert statuses(tally) == ["error"]


async def test_a_coroutine_function(tally: Tally, wrap: Wrap) -> None:
    @wrap
    async def add(a: int, b: int) -> int:
        return a + b

    assert inspect.iscoroutinefunction(add)
    assert await add(1, 2) == 3
    forever = wrap(asyncio.Event().wait)
    task = asyncio.ensure_future(forever())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert statuses(tally) == ["success", "cancelled"]


async def test_a_function_that_returns_an_awaitable(tally: Tally, wrap: Wrap) -> None:
    async def inner() -> int:
        return 3

    def outer() -> Awaitable[int]:
        return inner()

    waiting = wrap(outer)()
    assert statuses(tally) == []
    assert await waiting == 3
    assert statuses(tally) == ["success"]


async def test_a_coroutine_that_returns_a_stream(tally: Tally, wrap: Wrap) -> None:
    async def create() -> AsyncIterator[Any]:
        return async_echo()

    stream = await wrap(create)()
    assert await anext(stream) == "ready"
    assert statuses(tally) == []
    await stream.aclose()
    assert statuses(tally) == ["cancelled"]


# Generators and iterators


@pytest.mark.parametrize("make", [lambda wrap: wrap(echo)(), lambda wrap: wrap(echo())], ids=["function", "object"])
def test_a_generator(tally: Tally, wrap: Wrap, make: Callable[[Wrap], Any]) -> None:
    stream = make(wrap)
    assert (next(stream), stream.send("hello"), stream.throw(Broken())) == ("ready", "hello", "caught Broken")
    with pytest.raises(StopIteration) as caught:
        stream.send("end")
    assert caught.value.value == "returned"
    assert statuses(tally) == ["success"]

    closed = make(wrap)
    next(closed)
    closed.close()
    closed.close()
    assert statuses(tally) == ["success", "cancelled"]

    broken = make(wrap)
    next(broken)
    with pytest.raises(KeyError):
        broken.throw(KeyError())
    assert sorted(statuses(tally)) == ["cancelled", "error", "success"]

    abandoned = make(wrap)
    next(abandoned)
    del abandoned
    make(wrap)  # never asked for an item: nothing happened
    gc.collect()
    assert sorted(statuses(tally)) == ["cancelled", "cancelled", "error", "success"]


@pytest.mark.parametrize(
    "make", [lambda wrap: wrap(async_echo)(), lambda wrap: wrap(async_echo())], ids=["function", "object"]
)
async def test_an_async_generator(tally: Tally, wrap: Wrap, make: Callable[[Wrap], Any]) -> None:
    stream = make(wrap)
    assert await anext(stream) == "ready"
    assert await stream.asend("hello") == "hello"
    assert await stream.athrow(Broken()) == "caught Broken"
    with pytest.raises(StopAsyncIteration):
        await stream.asend("end")
    assert statuses(tally) == ["success"]

    closed = make(wrap)
    await anext(closed)
    await closed.aclose()
    assert statuses(tally) == ["success", "cancelled"]

    broken = make(wrap)
    await anext(broken)
    with pytest.raises(KeyError):
        await broken.athrow(KeyError())
    assert sorted(statuses(tally)) == ["cancelled", "error", "success"]


async def test_an_abandoned_async_iterator(tally: Tally, wrap: Wrap) -> None:
    stream = wrap(async_echo())
    await anext(stream)
    del stream
    gc.collect()
    assert statuses(tally) == ["cancelled"]


def test_generator_functions_stay_what_they_are(wrap: Wrap) -> None:
    assert inspect.isgeneratorfunction(wrap(echo))
    assert inspect.isasyncgenfunction(wrap(async_echo))


def test_an_iterator_with_more_to_it(tally: Tally, wrap: Wrap) -> None:
    class Stream:
        status_code, left = 200, False

        def __iter__(self) -> Stream:
            return self

        def __next__(self) -> str:
            return "item"

        def __enter__(self) -> Stream:
            return self

        def __exit__(self, *ending: object) -> None:
            self.left = True

    inner = Stream()
    with wrap(inner) as stream:
        assert next(stream) == "item"
        assert stream.status_code == 200
    assert inner.left
    with pytest.raises(AttributeError, match="'Stream' object has no attribute 'nonsense'"):
        _ = stream.nonsense
    assert statuses(tally) == ["cancelled"]
    with pytest.raises(Broken):
        wrap(Stream()).throw(Broken())
    assert sorted(statuses(tally)) == ["cancelled", "error"]


def test_what_cannot_be_wrapped(wrap: Wrap) -> None:
    with pytest.raises(TypeError, match=r"tracked\(\) takes a function or an iterator, not a int"):
        wrap(3)


# LLM calls


def test_usage_and_content_of_a_stream(tally: Tally) -> None:
    def usage(item: dict[str, Any]) -> dict[str, int] | None:
        return item.get("usage")

    def content(item: dict[str, Any]) -> bool:
        return bool(item["text"])

    make = partial(tally.track_llm_call, "openai", "gpt-4o", stream=True)

    @tracked(make, usage=usage, content=content)
    def complete() -> Iterator[dict[str, Any]]:
        yield {"text": ""}
        yield {"text": "a"}
        yield {"text": "b"}
        yield {"text": "", "usage": {"input_tokens": 1000, "output_tokens": 200}}

    assert len(list(complete())) == 4
    row = only_row(tally, LLMCall)
    assert (row.sums["input_tokens"], row.sums["output_tokens"], row.sums["cost"]) == (1000, 200, 450_000_000)
    assert row.observed["time_to_first_token"] == 1


def test_usage_of_a_result(tally: Tally) -> None:
    def seven() -> int:
        return 7

    ask = tracked(partial(tally.track_llm_call, "openai", "gpt-4o"), usage=lambda result: {"output_tokens": result})(
        seven
    )
    assert ask() == 7
    assert only_row(tally, LLMCall).sums["output_tokens"] == 7


def test_readers_that_fail_break_nothing(monkeypatch: pytest.MonkeyPatch, tally: Tally) -> None:
    monkeypatch.setattr("tallygate.record.default.default.recorder", tally)
    make = partial(tally.track_llm_call, "openai", "gpt-4o", stream=True)
    stream = tracked(make, usage=lambda item: item["usage"], content=lambda item: item["text"])(iter([1, 2]))
    assert list(stream) == [1, 2]
    assert tracked(partial(divmod, 1, 0))(len)("abc") == 3
    assert dropped(tally) == {("LLMCall", "internal"): 5}
    assert only_row(tally, LLMCall).count == 1
