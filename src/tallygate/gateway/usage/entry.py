"""What a call used: told by the provider, and estimated where it did not tell.

What was told is what the metrics count, to the last digit: same tokens, same price. An estimate is kept apart from it.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tallygate.wire.interface import Usage

if TYPE_CHECKING:
    from tallygate.gateway.exchange import Exchange
    from tallygate.pricing import Price, PriceList

BYTES_PER_TOKEN: Final = 4
"""What a token is taken for where nobody counted."""
MOST_UNITS: Final = 10**17
"""No call costs more than this (a million dollars): a larger sum is a provider's mistake that no column could hold."""


class Entry(NamedTuple):
    """One call that was sent to a provider, as the queue and the database hold it, in this order."""

    time: int
    """When it ended: Unix time in milliseconds."""
    key_id: str
    """'' for the master key."""
    user_id: str
    """'' for the master key."""
    provider: str
    model: str
    """As on labels."""
    operation: str
    stream: int
    """1 for a stream, else 0."""
    outcome: str
    """completed, failed or cancelled."""
    error_type: str
    """'' unless failed."""
    reported: int
    """1 when the provider reported usage, else 0."""
    priced: int
    """1 when the model has a known price, else 0."""
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost: int
    """Of what was reported, in units of 10^-11 USD."""
    estimated_input_tokens: int
    """Of the prompt, where the provider did not report it."""
    estimated_output_tokens: int
    """Of what was delivered, beyond what was reported."""
    estimated_cost: int
    """What the estimated tokens cost in addition, in units of 10^-11 USD."""

    @property
    def day(self) -> str:
        """The UTC day on which it ended, as in 2026-11-21."""
        return datetime.fromtimestamp(self.time / 1000, UTC).date().isoformat()

    @property
    def tokens(self) -> int:
        """Input and output, reported and estimated."""
        return self.input_tokens + self.output_tokens + self.estimated_input_tokens + self.estimated_output_tokens

    @property
    def charged(self) -> int:
        """What the call is charged with, in units of 10^-11 USD."""
        return self.cost + self.estimated_cost


encode = msgspec.json.Encoder().encode
"""As the queue holds an entry: a JSON array."""
decode = msgspec.json.Decoder(Entry).decode
decode_row = msgspec.json.Decoder(tuple[str | int, ...]).decode
"""The same without names, which is quicker."""
NOTHING: Final = Usage()


def entry_of(exchange: Exchange, prices: PriceList) -> Entry | None:
    """What an exchange used, which ends now; None when no provider was asked for a model."""
    head, deployment, wire = exchange.head, exchange.deployment, exchange.route.wire
    if head is None or deployment is None or wire is None or not exchange.dispatched_at:
        return None
    caller, meter = exchange.caller, exchange.meter
    provider, model = deployment.provider.name, deployment.label
    price = prices.price_of(provider, model)
    told = None if meter is None else meter.usage
    usage, cost = NOTHING, 0
    if told is not None:
        usage = told
        cost = 0 if price is None else min(_cost(price, usage), MOST_UNITS)
    more_input = more_output = more_cost = 0
    if told is None or exchange.outcome != "completed":
        more_input, more_output = _estimate(exchange, usage)
        if price is not None and (more_input or more_output):
            whole = _cost(price, usage, more_input, more_output)
            more_cost = max(0, min(whole, MOST_UNITS) - cost)
    return Entry(
        int(time.time() * 1000),
        "" if caller is None else caller.key_id,
        "" if caller is None else caller.user_id,
        provider,
        model,
        wire.operation,
        1 if head.stream else 0,
        exchange.outcome,
        exchange.error_type if exchange.outcome == "failed" else "",
        0 if told is None else 1,
        0 if price is None else 1,
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
        cost,
        more_input,
        more_output,
        more_cost,
    )


def _cost(price: Price, usage: Usage, more_input: int = 0, more_output: int = 0) -> int:
    return price.cost(
        usage.input_tokens + more_input,
        usage.output_tokens + more_output,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.reasoning_tokens,
    )


def _estimate(exchange: Exchange, usage: Usage) -> tuple[int, int]:
    """Input and output tokens beyond the reported ones: the prompt's bytes, and what was delivered of the answer.

    A call that the provider refused, or did not answer, used nothing. One that its caller left while the provider was
    at it used its prompt at least.
    """
    status, head, route = exchange.upstream_status, exchange.head, exchange.route
    if status >= 400 or (not status and exchange.outcome != "cancelled"):
        return 0, 0
    prompt = 0 if usage.input_tokens else -(-len(exchange.body) // BYTES_PER_TOKEN)
    meter = exchange.meter
    if head is not None and head.stream and meter is not None:
        delivered = meter.contents
    elif route.wire is not None and route.wire.operation == "embeddings":
        delivered = 0
    else:
        delivered = exchange.received // BYTES_PER_TOKEN
    return prompt, max(0, delivered - usage.output_tokens)
