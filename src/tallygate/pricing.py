"""What LLM calls cost, exactly: whole numbers of 10^-11 USD, from configured prices or the catalogue's."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from threading import RLock
from typing import Final, NamedTuple

from tallygate.facts import USD

UNITS_PER_USD: Final = 10**-USD
"""How many units of cost make a dollar."""
TOKENS_PER_PRICE: Final = 1_000_000
"""Prices are per million tokens."""
LONGEST_NAME: Final = 256
"""A model name longer than this has no price: nobody's catalogue holds it."""


class Rates(NamedTuple):
    """Prices of one moment and one size of prompt, in USD per million tokens. None: as the tokens it is part of.

    input: prompt tokens outside any cache. cache_read, cache_write: those read from or written to a prompt cache.
    output: what the model wrote. reasoning: the part of it spent on reasoning. request: USD per call.
    """

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    reasoning: Decimal | None = None
    request: Decimal = Decimal(0)


class Tariff(NamedTuple):
    """All the rates that hold at one moment: the last step that the prompt exceeds is for all its tokens."""

    steps: tuple[tuple[int, Rates], ...]
    """(input tokens to exceed, rates), ascending; the first holds from the first token on, its threshold is -1."""
    until: float = math.inf
    """Unix time at which other rates begin to hold."""


@dataclass(frozen=True, slots=True)
class PriceOverride:
    """A configured price in USD per million tokens; goes before the catalogue's.

    provider: None for all of them. cache_read, cache_write: None for the price of input.
    Raises ValueError for a price that is negative or no number.
    """

    model: str
    input: Decimal
    output: Decimal = Decimal(0)
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    provider: str | None = None

    def __post_init__(self) -> None:
        for name in ("input", "output", "cache_read", "cache_write"):
            given = getattr(self, name)
            if given is None:
                continue
            price = Decimal(str(given))  # a float is meant as it is written
            if not (price.is_finite() and price >= 0):
                raise ValueError(f"price of {self.model!r}: {name} is {given}; it must be a number of USD, 0 or more")
            object.__setattr__(self, name, price)

    @property
    def rates(self) -> Rates:
        return Rates(self.input, self.output, self.cache_read, self.cache_write)


class _Step:
    """Rates as whole numbers: units of cost per token, times ``scale`` where a price is finer than the unit."""

    __slots__ = ("above", "cache_read", "cache_write", "input", "output", "reasoning", "request", "scale")

    def __init__(self, above: int, rates: Rates) -> None:
        self.above = above
        per_token = [
            Fraction(rates.input if rate is None else rate) * UNITS_PER_USD / TOKENS_PER_PRICE
            for rate in (rates.input, rates.output, rates.cache_read, rates.cache_write)
        ]
        reasoning = (
            per_token[1] if rates.reasoning is None else Fraction(rates.reasoning) * UNITS_PER_USD / TOKENS_PER_PRICE
        )
        request = Fraction(rates.request) * UNITS_PER_USD
        self.scale = math.lcm(*(rate.denominator for rate in (*per_token, reasoning, request)))
        self.input, self.output, cache_read, cache_write = (int(rate * self.scale) for rate in per_token)
        # Cached and reasoning tokens are part of input and output: what they cost more (or less) than those.
        self.cache_read, self.cache_write = cache_read - self.input, cache_write - self.input
        self.reasoning = int(reasoning * self.scale) - self.output
        self.request = int(request * self.scale)


class Price:
    """What calls to one model cost. Holds on when rates change with time: it then asks for the new ones itself.

    simple: without tiers, times, fees and fractions of a unit. Calls without caches then cost exactly ``input`` and
    ``output`` units per token.
    """

    __slots__ = ("_cache_read", "_cache_write", "_renew", "_steps", "_until", "input", "output", "simple")

    def __init__(self, tariff: Tariff, renew: Callable[[], Tariff] | None = None) -> None:
        self._renew = renew
        self._take(tariff)

    def _take(self, tariff: Tariff) -> None:
        self._until = tariff.until
        steps = self._steps = tuple(_Step(above, rates) for above, rates in tariff.steps)
        only = steps[0]
        self.simple = (
            len(steps) == 1 and tariff.until == math.inf and only.scale == 1 and not (only.request or only.reasoning)
        )
        self.input, self.output = only.input, only.output
        self._cache_read, self._cache_write = only.cache_read, only.cache_write

    @property
    def weights(self) -> tuple[int, int, int, int] | None:
        """When simple: units per input and output token, and what one read from or written to a cache costs more."""
        return (self.input, self.output, self._cache_read, self._cache_write) if self.simple else None

    def cost(
        self,
        input_tokens: int,
        output_tokens: int,
        cache_read_tokens: int = 0,
        cache_write_tokens: int = 0,
        reasoning_tokens: int = 0,
    ) -> int:
        """What one call costs, in units of 10^-11 USD.

        ``input_tokens`` include the cached ones, ``output_tokens`` the reasoning: no token is paid twice. Rates finer
        than a unit are summed exactly and rounded once, half up.
        """
        if self.simple:
            if cache_read_tokens or cache_write_tokens:
                cached = cache_read_tokens + cache_write_tokens
                if cached > input_tokens:  # a contradiction of the provider's: pay what was certainly used
                    input_tokens = cached
                return (
                    input_tokens * self.input
                    + output_tokens * self.output
                    + cache_read_tokens * self._cache_read
                    + cache_write_tokens * self._cache_write
                )
            return input_tokens * self.input + output_tokens * self.output
        if self._renew is not None and time.time() >= self._until:
            self._take(self._renew())
        input_tokens = max(input_tokens, cache_read_tokens + cache_write_tokens)
        step = self._steps[0]
        for candidate in self._steps:
            if input_tokens > candidate.above:
                step = candidate
        total = (
            step.request
            + input_tokens * step.input
            + output_tokens * step.output
            + cache_read_tokens * step.cache_read
            + cache_write_tokens * step.cache_write
            + min(reasoning_tokens, output_tokens) * step.reasoning
        )
        return (2 * total + step.scale) // (2 * step.scale)


class _Entry(NamedTuple):
    price: Price | None
    canonical: str | None


class PriceList:
    """Prices by provider and model. Remembers what it found, within bounds, however many names strangers invent.

    providers: which of the catalogue's providers a configured provider is, where its name does not say so; see
    ``tallygate.catalogue.provider_id``. Safe to use from several threads.
    """

    def __init__(
        self,
        overrides: Iterable[PriceOverride] = (),
        providers: Mapping[str, str] | None = None,
        *,
        capacity: int = 4096,
    ) -> None:
        self._overrides: dict[tuple[str | None, str], Price] = {}
        for override in overrides:
            key = (override.provider, override.model)
            if key in self._overrides:
                whose = f" of provider {override.provider!r}" if override.provider else ""
                raise ValueError(f"model {override.model!r}{whose} has two configured prices; remove one")
            self._overrides[key] = Price(Tariff(((-1, override.rates),)))
        self._providers = dict(providers or {})
        self._capacity = capacity
        self._lock = RLock()  # re-entrant: a garbage collection inside may end a call
        self._found: dict[tuple[str, str], _Entry] = {}

    def price_of(self, provider: str, model: str) -> Price | None:
        """The price of a model at a provider; None when nobody knows it."""
        entry = self._found.get((provider, model))
        return (entry or self._find(provider, model)).price

    def canonical_model(self, provider: str, model: str) -> str | None:
        """The name under which this model is priced; None when nobody knows it. There are only so many such names."""
        entry = self._found.get((provider, model))
        return (entry or self._find(provider, model)).canonical

    def load(self) -> None:
        """Read the catalogue now, which takes a moment, rather than at the first look-up."""
        from tallygate.catalogue import find

        find("openai", "")

    def _find(self, provider: str, model: str) -> _Entry:
        if len(provider) > LONGEST_NAME or len(model) > LONGEST_NAME:
            return _Entry(None, None)
        with self._lock:
            override = self._overrides.get((provider, model)) or self._overrides.get((None, model))
            if override is not None:
                entry = _Entry(override, model)
            else:
                # Imports the catalogue, which a program without LLM calls never needs.
                from tallygate.catalogue import find

                known = find(self._providers.get(provider, provider), model)
                entry = _Entry(None, None) if known is None else self._entry(known.canonical, known.tariff)
            if len(self._found) >= self._capacity:
                del self._found[next(iter(self._found))]
            self._found[provider, model] = entry
        return entry

    @staticmethod
    def _entry(canonical: str, tariff: Callable[[], Tariff | None]) -> _Entry:
        now = tariff()
        if now is None:
            return _Entry(None, canonical)

        def renew() -> Tariff:
            return tariff() or now

        return _Entry(Price(now, renew), canonical)
