"""Where a request's time in the gateway went: one fact for each phase that was reached, and one for the whole."""

from itertools import pairwise

from tallygate.gateway.exchange import Exchange
from tallygate.tally import Tally

_UNTIL_DISPATCH = (("decode", "unknown"), ("prepare", ""), ("provider_dispatch", ""))
SMOOTH = {
    False: (*_UNTIL_DISPATCH, ("response_write", ""), ("total", "")),
    True: (*_UNTIL_DISPATCH, ("total", "")),
}
"""The phases of a request that went well, by whether it was streamed; '' stands for the request's own ``stream``."""


def record_phases(tally: Tally, exchange: Exchange, ended_at: float) -> None:
    """The phases of an exchange that has ended at this reading of the clock. The last one reached is its end."""
    phase, endpoint = tally.gateway_phase, exchange.route.template
    stream = "unknown" if exchange.head is None else "true" if exchange.head.stream else "false"
    end = "error" if exchange.outcome == "failed" else "success"
    marks = [exchange.started_at, exchange.read_at, exchange.dispatched_at]
    marks.append(exchange.headers_at if stream == "true" and exchange.upstream_status else exchange.replied_at)
    for (name, fixed), (since, until) in zip(_UNTIL_DISPATCH, pairwise(marks), strict=True):
        if since:
            phase(endpoint, name, "success" if until else end, fixed or stream, (until or ended_at) - since)
    if stream == "false" and exchange.replied_at:
        phase(endpoint, "response_write", end, stream, ended_at - exchange.replied_at)
    phase(endpoint, "total", end, stream, ended_at - exchange.started_at)
