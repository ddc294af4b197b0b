"""The end of a request's account: what it used goes to the usage ledger, and what was held for it is free again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tallygate.facts import LLMCall
from tallygate.gateway.usage.entry import encode, entry_of
from tallygate.pricing import UNITS_PER_USD

if TYPE_CHECKING:
    from tallygate.gateway.caller import Caller
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.parts import Parts
    from tallygate.gateway.usage.entry import Entry
    from tallygate.tally import Tally


def settles(parts: Parts, exchange: Exchange) -> bool:
    """Whether an exchange has an account at all."""
    return parts.usage is not None or exchange.admission is not None


def settle(parts: Parts, exchange: Exchange) -> None:
    """Once per request. The end of the answer must wait until it is ``written``: a finished call is then never lost.

    Called when a reply's end was seen, and again on every other way out, where it does nothing if it was done. From
    then on the outcome stands. Never waits and never raises: a request that is being cancelled settles too.
    """
    if exchange.settled:
        return
    exchange.settled = True
    usage, gate, held = parts.usage, parts.gate, exchange.admission is not None
    tokens = cost = 0
    try:
        entry = entry_of(exchange, parts.tally.prices)
        if entry is not None:
            tokens, cost = entry.tokens, entry.charged
            if usage is not None:
                # In one transaction the entry joins the queue, and what was held on this machine is free.
                usage.add(encode(entry), partial(gate.settle, exchange, tokens, cost) if held and gate else None)
                held = False
                _tell_credits(parts.tally, exchange.caller, entry)
    except Exception as problem:
        parts.tally.failed(LLMCall, problem)
    if held and gate is not None:
        gate.settle(exchange, tokens, cost)


def _tell_credits(tally: Tally, caller: Caller | None, entry: Entry) -> None:
    if caller is not None and caller.prepaid and entry.charged:
        credits = entry.charged / UNITS_PER_USD
        tally.record_credits(credits, provider=entry.provider, model=entry.model, user_id=caller.user_id)
