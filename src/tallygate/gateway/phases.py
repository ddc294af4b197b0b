"""Where a request's time in the gateway went: one fact for each phase that was reached, and one for the whole."""

from tallygate.facts import GatewayPhase
from tallygate.gateway.exchange import Exchange
from tallygate.ledger.interface import Row
from tallygate.tally import Tally

SMOOTH = (("decode", "unknown"), ("prepare", ""), ("provider_dispatch", ""), ("response_write", ""), ("total", ""))
"""The phases of a request that went well, in order; '' stands for the request's own ``stream``."""


class Phases:
    """Records the phases of exchanges. The rows of those that went well are kept at hand: they are nearly all."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._rows: dict[tuple[str, bool], list[Row]] = {}

    def record(self, exchange: Exchange, ended_at: float) -> None:
        """The phases of an exchange that has ended at this reading of the clock."""
        if not self._tally.enabled:
            return
        if exchange.outcome == "failed" or not exchange.replied_at or exchange.head is None:
            self._record_rough(exchange, ended_at)
            return
        streamed, began = exchange.head.stream, exchange.started_at
        rows = self._rows.get((exchange.route.template, streamed)) or self._bind(exchange.route.template, streamed)
        rows[0].record(exchange.read_at - began)
        rows[1].record(exchange.dispatched_at - exchange.read_at)
        if streamed:
            rows[2].record(exchange.headers_at - exchange.dispatched_at)
        else:
            rows[2].record(exchange.replied_at - exchange.dispatched_at)
            rows[3].record(ended_at - exchange.replied_at)
        rows[4].record(ended_at - began)

    def _bind(self, endpoint: str, streamed: bool) -> list[Row]:
        table, stream = self._tally.tables[GatewayPhase], "true" if streamed else "false"
        rows = [table.row(endpoint, phase, "success", fixed or stream) for phase, fixed in SMOOTH]
        self._rows[endpoint, streamed] = rows
        return rows

    def _record_rough(self, exchange: Exchange, ended_at: float) -> None:
        """As ``record``, for a request that did not get through all phases: the last one reached is its end."""
        phase, endpoint = self._tally.gateway_phase, exchange.route.template
        stream = "unknown" if exchange.head is None else "true" if exchange.head.stream else "false"
        end = "error" if exchange.outcome == "failed" else "success"
        marks = [exchange.started_at, exchange.read_at, exchange.dispatched_at]
        marks.append(exchange.headers_at if stream == "true" and exchange.upstream_status else exchange.replied_at)
        names = ("decode", "prepare", "provider_dispatch")
        for name, since, until in zip(names, marks, marks[1:], strict=False):
            if since:
                status = "success" if until else end
                phase(endpoint, name, status, "unknown" if name == "decode" else stream, (until or ended_at) - since)
        if stream == "false" and exchange.replied_at:
            phase(endpoint, "response_write", end, stream, ended_at - exchange.replied_at)
        phase(endpoint, "total", end, stream, ended_at - exchange.started_at)
