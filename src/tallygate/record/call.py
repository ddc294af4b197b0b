"""The life of one LLM call: started, (headers, first token,) finished exactly once, whichever way it ends."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from tallygate.context import current
from tallygate.facts import LLMCall, UpstreamAttempt
from tallygate.pricing import UNITS_PER_USD
from tallygate.record.classify import CLIENT_GONE, ending_of

if TYPE_CHECKING:
    from tallygate.ledger.interface import Activity, Value
    from tallygate.record.binding import Binding, Key
    from tallygate.record.recorder import Recorder

USD_FLOAT = float(UNITS_PER_USD)

Usage = tuple[int | None, int | None, int | None, int | None, int | None]
"""Tokens: input, output, cache read, cache write, reasoning; None is unset."""


class LLMCallTracker:
    """Tells the tally about one LLM call.

    Use it as ``with`` or ``async with``, or call ``start`` and ``finish``. Its clock runs from ``start`` (entering the
    block) on. No method raises, whatever it is given; what cannot be recorded is counted as dropped. Exceptions that
    leave the block are classified and pass unchanged. One started by hand and thrown away unfinished was cancelled.
    """

    __slots__ = (
        "_activity",
        "_binding",
        "_custom",
        "_headers",
        "_key",
        "_last_content",
        "_over",
        "_overhead",
        "_rate_limits",
        "_recorder",
        "_usage",
    )

    def __init__(self, recorder: Recorder, key: Key, custom: dict[str, str | None]) -> None:
        self._recorder, self._key, self._custom = recorder, key, custom
        self._activity: Activity | None = None
        self._binding: Binding | None = None
        self._over = False
        self._usage: Usage | None = None
        self._headers: float | None = None
        self._last_content: float | None = None
        self._overhead: float | None = None
        self._rate_limits: int | None = None

    # The states

    def start(self) -> LLMCallTracker:
        """Start the clock and count the call as in flight. Again is once."""
        self.__enter__()
        if self._activity is not None:
            self.__class__ = HeldCallTracker
        return self

    def __enter__(self) -> LLMCallTracker:
        if self._activity is None and not self._over:
            recorder = self._recorder
            if not recorder.enabled:
                self._over = True
                return self
            try:
                context = current.get()
                if context is None and not self._custom:
                    binding = recorder.bindings.get(self._key) or recorder.bind(self._key)
                else:
                    binding = recorder.bind(self._key, context, self._custom)
                self._binding = binding
                self._activity = binding.in_flight.begin()
            except Exception as problem:
                self._over = True
                recorder.failed(LLMCall, problem)
        return self

    def finish(self, outcome: str = "completed", status_code: int | str = 200, error_type: str = "") -> bool:
        """Record the call. outcome: completed, failed or cancelled; error_type: one of ErrorType, when it failed.

        False when it was finished before: then nothing changes.
        """
        activity = self._activity
        if activity is None:
            if self._over:
                return False
            activity = self.__enter__()._activity
        binding = self._binding
        if activity is None or binding is None:
            return False
        self._activity, self._over = None, True
        finished = False
        try:
            if status_code == 200 and outcome == "completed" and not error_type:
                row = binding.completed
            else:
                row = binding.row(str(status_code), outcome, error_type)
            measures = self._measures(activity, binding, outcome)
            finished = activity.finish(row, *measures)
            if finished and binding.exemplar is not None:
                trace = binding.exemplar()
                if trace is not None:
                    row.exemplify(*trace, *measures)
        except Exception as problem:
            self._recorder.failed(LLMCall, problem)
            finished = activity.finish() or finished
        return finished

    def _measures(self, activity: Activity, binding: Binding, outcome: str) -> tuple[Value, ...]:
        """What the call comes to, in the order of ``LLMCall.measures`` (times in seconds, cost in USD)."""
        usage = self._usage
        if usage is None or (usage[0] is None and usage[1] is None):
            return (
                activity.elapsed, activity.marked if binding.stream else None, self._headers, None, None,
                self._overhead, None, None, None, None, None, None, None, None,
                1 if outcome == "completed" else None, None, self._rate_limits,
            )  # fmt: skip
        input_tokens, output_tokens, cache_read, cache_write, reasoning = usage
        read, written = input_tokens or 0, output_tokens or 0
        uncached = input_tokens
        price = binding.price
        cost = unpriced = None
        if cache_read or cache_write or reasoning:
            if uncached is not None:
                uncached = max(0, uncached - (cache_read or 0) - (cache_write or 0))
            if price is not None:
                cost = price.cost(read, written, cache_read or 0, cache_write or 0, reasoning or 0) / USD_FLOAT
        elif price is not None:
            cost = price.cost(read, written) / USD_FLOAT
        if price is None:
            unpriced = 1
        elapsed = activity.elapsed
        first = per_token = None
        if binding.stream:
            first = activity.marked
            if first is not None and written > 1:
                per_token = (elapsed - first) / (written - 1)
        return (
            elapsed, first, self._headers, per_token, written / elapsed if written and elapsed else None,
            self._overhead, input_tokens, output_tokens, read + written, uncached, cache_read, cache_write, reasoning,
            cost, None, unpriced, self._rate_limits,
        )  # fmt: skip

    def fail(self, problem: BaseException) -> bool:
        """Finish with what this exception says: failed and why, or cancelled. False when it was finished before."""
        if self._over:
            return False
        try:
            ending = ending_of(problem, self._replied())
        except Exception as own_problem:  # an exception whose attributes raise
            self._recorder.failed(LLMCall, own_problem)
            return self.finish("failed", "network_error", "gateway_internal")
        if ending.error_type == "provider_rate_limit" and self._rate_limits is None:
            self._rate_limits = 1
        return self.finish(*ending)

    def _replied(self) -> bool:
        seen = self._headers is not None or self._usage is not None
        return seen or (self._activity is not None and self._activity.marked is not None)

    # What is learnt on the way

    def headers(self) -> None:
        """The head of the reply is here; the first call counts."""
        if self._headers is None:
            activity = self._activity or self.start()._activity
            if activity is not None:
                self._headers = activity.elapsed

    def content(self, count: int = 1) -> None:
        """``count`` content deltas (text, tool call, reasoning) of a stream arrived together just now."""
        activity = self._activity or self.start()._activity
        binding = self._binding
        if activity is None or binding is None:
            return
        try:
            now, last = activity.mark(), self._last_content
            self._last_content = now
            chunks = binding.chunks
            if chunks is not None:
                if last is not None:
                    chunks.record(now - last)
                while count > 1:
                    count -= 1
                    chunks.record(0)
        except Exception as problem:
            self._recorder.failed(LLMCall, problem)

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
        try:
            # Written out, as this is the hot path.
            if not (
                (input_tokens is None or (input_tokens.__class__ is int and input_tokens >= 0))
                and (output_tokens is None or (output_tokens.__class__ is int and output_tokens >= 0))
                and (cache_read_tokens is None or (cache_read_tokens.__class__ is int and cache_read_tokens >= 0))
                and (cache_write_tokens is None or (cache_write_tokens.__class__ is int and cache_write_tokens >= 0))
                and (reasoning_tokens is None or (reasoning_tokens.__class__ is int and reasoning_tokens >= 0))
            ):
                raise ValueError("a number of tokens is not a whole number, 0 or more")
            usage = (input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens)
            if self._usage is not None:
                a, b, c, d, e = (old if new is None else new for new, old in zip(usage, self._usage, strict=True))
                usage = (a, b, c, d, e)
            self._usage = usage
        except Exception as problem:
            self._recorder.failed(LLMCall, problem, "invalid_value")

    def rate_limited(self) -> None:
        """The provider answered 429 once on the way, whether or not the call was tried again."""
        self._rate_limits = (self._rate_limits or 0) + 1

    def overhead(self, seconds: float) -> None:
        """How much of the call was not spent waiting for upstreams."""
        self._overhead = seconds

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
        binding = self._binding or self.start()._binding
        if binding is None:
            return
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
            self._recorder.failed(UpstreamAttempt, problem)

    # Ways in and out

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if problem is not None:
            self.fail(problem)
            return
        activity, binding, usage = self._activity, self._binding, self._usage
        if activity is not None and binding is not None and usage is not None:
            # The hot path: what finish() does, for the most common call.
            price = binding.simple_price
            read, written, cache_read, cache_write, reasoning = usage
            if price is not None and read and written and cache_read is cache_write is reasoning is None:
                self._activity, self._over = None, True
                try:
                    elapsed = activity.elapsed
                    activity.finish(
                        binding.completed, elapsed, None, self._headers, None, written / elapsed if elapsed else None,
                        self._overhead, read, written, read + written, read, None, None, None,
                        (read * price.input + written * price.output) / USD_FLOAT, None, None, self._rate_limits,
                    )  # fmt: skip
                except Exception as own_problem:
                    self._recorder.failed(LLMCall, own_problem)
                    activity.finish()
                return
        self.finish()

    async def __aenter__(self) -> LLMCallTracker:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, problem, trace)


class HeldCallTracker(LLMCallTracker):
    """A tracker that was started by hand, so that no block sees to its end: it does when it is thrown away.

    A class of its own because a finaliser costs every call that has one.
    """

    __slots__ = ()

    def __del__(self) -> None:
        if self._activity is not None:
            self.finish("cancelled", "200" if self._replied() else CLIENT_GONE)
