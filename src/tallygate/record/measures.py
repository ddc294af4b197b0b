"""The measures of an LLM call by their index, and what follows from its tokens when its price is flat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tallygate.facts import LLMCall
from tallygate.ledger.interface import Derivation

if TYPE_CHECKING:
    from tallygate.pricing import Price

(
    DURATION,
    TIME_TO_FIRST_TOKEN,
    TIME_TO_HEADERS,
    TIME_PER_OUTPUT_TOKEN,
    OUTPUT_TOKENS_PER_SECOND,
    GATEWAY_OVERHEAD,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    TOTAL_TOKENS,
    UNCACHED_INPUT_TOKENS,
    CACHE_READ_TOKENS,
    CACHE_WRITE_TOKENS,
    REASONING_TOKENS,
    COST,
    UNMETERED,
    UNPRICED,
    RATE_LIMIT_EVENTS,
    BLOCKED_TOOLS,
) = range(len(LLMCall.measures))

USAGE: Final = (INPUT_TOKENS, OUTPUT_TOKENS, CACHE_READ_TOKENS, CACHE_WRITE_TOKENS, REASONING_TOKENS)
"""What a provider reports."""


def derivation_of(price: Price | None) -> Derivation | None:
    """What follows from the tokens of a call at this price, None being unpriced; None when that is no plain sum."""
    sums = [(TOTAL_TOKENS, 0, (1, 1, 0, 0)), (UNCACHED_INPUT_TOKENS, 0, (1, 0, -1, -1))]
    if price is None:
        sums.append((UNPRICED, 1, (0, 0, 0, 0)))
    else:
        weights = price.weights
        if weights is None or max(map(abs, weights)) >= 1 << 62:
            return None
        sums.append((COST, 0, weights))
    return Derivation(
        sources=(INPUT_TOKENS, OUTPUT_TOKENS, CACHE_READ_TOKENS, CACHE_WRITE_TOKENS),
        required=(INPUT_TOKENS, OUTPUT_TOKENS),
        sums=tuple(sums),
        rate=OUTPUT_TOKENS_PER_SECOND,
        rate_of=OUTPUT_TOKENS,
    )
