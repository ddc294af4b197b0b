"""The life of one LLM call: started, (headers, first token,) finished exactly once, whichever way it ends."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Self

from tallygate.facts import LLMCall, LLMOutputChunk, UpstreamAttempt
from tallygate.pricing import UNITS_PER_USD
from tallygate.record.classify import CLIENT_GONE, ending_of
from tallygate.record.failures import shown
from tallygate.record.measures import (
    BLOCKED_TOOLS,
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    COST,
    DURATION,
    GATEWAY_OVERHEAD,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    OUTPUT_TOKENS_PER_SECOND,
    RATE_LIMIT_EVENTS,
    REASONING_TOKENS,
    TIME_PER_OUTPUT_TOKEN,
    TIME_TO_FIRST_TOKEN,
    TIME_TO_HEADERS,
    TOTAL_TOKENS,
    UNCACHED_INPUT_TOKENS,
    UNMETERED,
    UNPRICED,
    USAGE,
)

if TYPE_CHECKING:
    from tallygate.context import Dimensions
    from tallygate.ledger.interface import Draft
    from tallygate.record.binding import Binding
else:
    Draft = object  # which one is the ledger's choice

MOST_AT_ONCE = 65_536
"""How many content deltas may arrive together."""
USD_FLOAT = float(UNITS_PER_USD)


class LLMCallTracker(Draft):
    """Tells the tally about one LLM call.

    Use it as ``with`` or ``async with``, or call ``start`` and ``finish``. Its clock runs from ``start`` (entering the
    block) on. No method raises, whatever it is given; what cannot be recorded is counted as dropped. Exceptions that
    leave the block are classified and pass unchanged. One started by hand and thrown away unfinished was cancelled.

    Clock, gauge and measures are a draft of the ledger's, which also records the most common call by itself: one that
    leaves its block with tokens and a flat price.
    """

    __slots__ = ()

    if TYPE_CHECKING:

        @property
        def owner(self) -> Binding: ...

    # Endings

    def finish(
        self, outcome: str = "completed", status_code: int | str = 200, error_type: str = "", *, before: float = 0.0
    ) -> bool:
        """Record the call. outcome: completed, failed or cancelled; error_type: one of ErrorType, when it failed.

        before: seconds that the call had taken when this tracker was started. False when it was finished before: then
        nothing changes.
        """
        binding, finished = self.owner, False
        try:
            derived = self.derive()
            if derived is None:
                return False
            if not derived:
                self._derive(binding, outcome)
            if before:
                self._lengthen(before)
            if binding.stream:
                self._time_stream(before)
            if status_code == 200 and outcome == "completed" and not error_type:
                row = binding.completed
            else:
                row = binding.row(str(status_code), outcome, error_type)
            finished = self.close(row)
            if finished and binding.exemplar is not None:
                trace = binding.exemplar()
                if trace is not None:
                    row.exemplify(*trace, *self.values())
        except Exception as problem:
            binding.failures.add(LLMCall, problem)
            finished = self.close(None) or finished
        return finished

    def link(self, trace: tuple[str, str] | None, problem: BaseException | None) -> None:
        """It was recorded as completed, in this trace; or asking for the trace raised this problem."""
        binding = self.owner
        try:
            if problem is not None:
                raise problem
            if trace is not None:
                binding.completed.exemplify(*trace, *self.values())
        except Exception as own_problem:
            binding.failures.add(LLMCall, own_problem)

    def _derive(self, binding: Binding, outcome: str) -> None:
        """What follows from the tokens, in full: for what the ledger leaves to us."""
        input_tokens, output_tokens = self.units(INPUT_TOKENS), self.units(OUTPUT_TOKENS)
        if input_tokens is None and output_tokens is None:
            if outcome == "completed" and self.units(UNMETERED) is None:
                self.put(UNMETERED, 1)
            return
        read, written, elapsed = input_tokens or 0, output_tokens or 0, self.elapsed
        cache_read, cache_write = self.units(CACHE_READ_TOKENS) or 0, self.units(CACHE_WRITE_TOKENS) or 0
        self.put(TOTAL_TOKENS, read + written)
        if input_tokens is not None:
            self.put(UNCACHED_INPUT_TOKENS, max(0, read - cache_read - cache_write))
        if written and elapsed:
            self.put(OUTPUT_TOKENS_PER_SECOND, written / elapsed)
        price = binding.price
        if price is None:
            self.put(UNPRICED, 1)
        else:
            cost = price.cost(read, written, cache_read, cache_write, self.units(REASONING_TOKENS) or 0)
            self.put(COST, cost / USD_FLOAT)

    def _lengthen(self, before: float) -> None:
        """It had begun so many seconds before its clock did."""
        written, elapsed = self.units(OUTPUT_TOKENS), self.elapsed + before
        self.put(DURATION, elapsed)
        if written:
            self.put(OUTPUT_TOKENS_PER_SECOND, written / elapsed)

    def _time_stream(self, before: float) -> None:
        first, written = self.marked, self.units(OUTPUT_TOKENS)
        if first is not None:
            self.put(TIME_TO_FIRST_TOKEN, first + before)
            if written is not None and written > 1:
                self.put(TIME_PER_OUTPUT_TOKEN, (self.elapsed - first) / (written - 1))

    def fail(self, problem: BaseException) -> bool:
        """Finish with what this exception says: failed and why, or cancelled. False when it was finished before."""
        if self.over:
            return False
        try:
            ending = ending_of(problem, self._replied())
        except Exception as own_problem:  # an exception whose attributes raise
            self.owner.failures.add(LLMCall, own_problem)
            return self.finish("failed", "network_error", "gateway_internal")
        if ending.error_type == "provider_rate_limit" and self.units(RATE_LIMIT_EVENTS) is None:
            self.rate_limited()
        return self.finish(*ending)

    def moved(self, context: Dimensions | None) -> None:
        """It starts in another context than it was made in."""
        binding = self.owner
        try:
            other = binding.elsewhere(context)
            if other is not None:
                self.become(other.form, other)
        except Exception as problem:
            binding.failures.add(LLMCall, problem)
            self.close(None)

    def abandon(self) -> None:
        """It was started by hand and is being thrown away."""
        self.finish("cancelled", "200" if self._replied() else CLIENT_GONE)

    def _replied(self) -> bool:
        learnt = (TIME_TO_HEADERS, *USAGE)
        return self.marked is not None or any(self.units(measure) is not None for measure in learnt)

    # What is learnt on the way

    def headers(self, seconds: float | None = None) -> None:
        """The head of the reply is here; the first call counts. seconds: since the dispatch, None for until now."""
        if self.units(TIME_TO_HEADERS) is None:
            elapsed = self.start().elapsed
            self.put(TIME_TO_HEADERS, elapsed if seconds is None else seconds)

    def content(self, count: int = 1) -> None:
        """``count`` content deltas (text, tool call, reasoning) of a stream arrived together just now."""
        if self.over:
            return
        binding = self.owner
        try:
            gap, chunks = self.lap(), binding.chunks
            if count != 1 and not (isinstance(count, int) and 0 < count <= MOST_AT_ONCE):
                problem = ValueError(f"{shown(count)} content deltas at once")
                binding.failures.add(LLMOutputChunk, problem, "invalid_value")
                count = 1
            if chunks is not None:
                if gap is not None:
                    chunks.record(gap)
                while count > 1:
                    count -= 1
                    chunks.record(0)
        except Exception as problem:
            binding.failures.add(LLMCall, problem)

    def usage(
        self,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        """What the provider reported. input_tokens include the cached ones, output_tokens the reasoning.

        None is unset, which is not 0. May be called again: a later number replaces an earlier one.
        """
        if cache_read_tokens is cache_write_tokens is reasoning_tokens is None:
            good = self.count(INPUT_TOKENS, input_tokens, OUTPUT_TOKENS, output_tokens)
        else:
            good = self.count(
                INPUT_TOKENS, input_tokens, OUTPUT_TOKENS, output_tokens, CACHE_READ_TOKENS, cache_read_tokens,
                CACHE_WRITE_TOKENS, cache_write_tokens, REASONING_TOKENS, reasoning_tokens,
            )  # fmt: skip
        if not good:
            problem = ValueError("a number of tokens is not a whole number from 0 to 2**56")
            self.owner.failures.add(LLMCall, problem, "invalid_value")

    def rate_limited(self) -> None:
        """The provider answered 429 once on the way, whether or not the call was tried again."""
        self.put(RATE_LIMIT_EVENTS, (self.units(RATE_LIMIT_EVENTS) or 0) + 1)

    def blocked_tools(self, count: int = 1) -> None:
        """A policy blocked this many tool calls of the reply."""
        if type(count) is int and 0 <= count < 1 << 32:
            self.put(BLOCKED_TOOLS, (self.units(BLOCKED_TOOLS) or 0) + count)
        else:
            problem = ValueError("a number of blocked tools is not a whole number from 0 to 2**32")
            self.owner.failures.add(LLMCall, problem, "invalid_value")

    def overhead(self, seconds: float) -> None:
        """How much of the call was not spent waiting for upstreams."""
        self.put(GATEWAY_OVERHEAD, seconds)

    def attempt(
        self,
        *,
        seconds: float,
        seconds_to_headers: float | None = None,
        status_code: int | str = 200,
        error_type: str = "",
        provider: str | None = None,
        model: str | None = None,
        endpoint: str | None = None,
    ) -> None:
        """One request on the wire ended. provider, model, endpoint: None for those of the call."""
        binding = self.owner
        self.start()
        try:
            if provider is model is endpoint is None:
                row = binding.attempt_row(status_code, error_type)
            else:
                table, *own = binding.attempt
                given = (provider, model, endpoint)
                where = [mine if theirs is None else theirs for theirs, mine in zip(given, own, strict=True)]
                row = table.row(*where, str(status_code), error_type)
            row.record(seconds, seconds_to_headers)
        except Exception as problem:
            binding.failures.add(UpstreamAttempt, problem)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, problem, trace)
