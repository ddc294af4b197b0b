"""How limits are told to clients: headers in the form of each API, and the messages of refusals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from tallygate.errors import ErrorType
from tallygate.gateway.admission.subjects import Limit, ends
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.state.interface import WINDOW_SECONDS
from tallygate.pricing import UNITS_PER_USD

if TYPE_CHECKING:
    from tallygate.gateway.state.interface import Refused, WindowState

Header = tuple[bytes, bytes]
FULL_RETRY = 1
"""Seconds after which to try again when all places are taken: nobody knows when one is free."""


def headers(limits: Sequence[Limit], states: Sequence[WindowState], api: str, now: float) -> tuple[Header, ...]:
    """The limits of requests and of tokens that are nearest to their end. api: as Route.kind; now: Unix time."""
    nearest: dict[str, tuple[Limit, WindowState]] = {}
    for limit, state in zip(limits, states, strict=True):
        known = nearest.get(limit.kind)
        if known is None or state.remaining < known[1].remaining:
            nearest[limit.kind] = limit, state
    found: list[Header] = []
    for limit, state in nearest.values():
        found += _anthropic(limit, state, now) if api == "anthropic" else _openai(limit, state)
    return tuple(found)


_OPENAI = {
    kind: tuple(f"x-ratelimit-{what}-{kind}".encode() for what in ("limit", "remaining", "reset"))
    for kind in ("requests", "tokens")
}


def _openai(limit: Limit, state: WindowState) -> tuple[Header, ...]:
    of_limit, of_remaining, of_reset = _OPENAI[limit.kind]
    return (
        (of_limit, b"%d" % limit.amount),
        (of_remaining, b"%d" % state.remaining),
        (of_reset, duration(state.reset)),
    )


def _anthropic(limit: Limit, state: WindowState, now: float) -> list[Header]:
    kind = limit.kind.encode()
    reset = datetime.fromtimestamp(math.ceil(now + state.reset), UTC)
    return [
        (b"anthropic-ratelimit-%b-limit" % kind, b"%d" % limit.amount),
        (b"anthropic-ratelimit-%b-remaining" % kind, b"%d" % state.remaining),
        (b"anthropic-ratelimit-%b-reset" % kind, reset.strftime("%Y-%m-%dT%H:%M:%SZ").encode()),
    ]


def duration(seconds: float) -> bytes:
    """As OpenAI writes it: 120ms, 1.5s, 1m30s."""
    milliseconds = math.ceil(seconds * 1000)
    if milliseconds < 1000:
        return b"%dms" % milliseconds
    minutes, rest = divmod(milliseconds, 60_000)
    whole, rest = divmod(rest, 1000)
    text = b"%ds" % whole if not rest else (b"%d.%03d" % (whole, rest)).rstrip(b"0") + b"s"
    return b"%dm%b" % (minutes, text) if minutes else text


def refusal(limit: Limit, refused: Refused, asked: int, day: int) -> Refusal:
    """What to answer when a limit refuses. asked: how much of it; day: days since 1970, for budgets."""
    if limit.kind in ("credits", "budget"):
        return Refusal(402, ErrorType.POLICY_BUDGET, _of_money(limit, refused, asked, day))
    if limit.kind == "concurrency":
        retry = FULL_RETRY
        what = f"{_many(limit.amount, 'request')} at the same time"
    else:
        retry = WINDOW_SECONDS if refused.retry is None else max(1, math.ceil(refused.retry))
        what = f"{_many(limit.amount, limit.kind.removesuffix('s'))} per minute"
        if limit.kind == "tokens":
            what += f" ({refused.remaining} left, {asked} asked for)"
    message = f"rate limit of {limit.whose} reached: {what}; try again in {retry} s"
    return Refusal(429, ErrorType.POLICY_RATE_LIMIT, message, [(b"retry-after", b"%d" % retry)])


def _of_money(limit: Limit, refused: Refused, asked: int, day: int) -> str:
    left = f"{usd(refused.remaining)} USD left, up to {usd(asked)} USD needed"
    if limit.kind == "credits":
        return f"the credits of this account do not cover the request: {left}"
    begins = ends(limit.period, day).strftime("%Y-%m-%d")
    budget = f"the {limit.period} budget of {limit.whose} ({usd(limit.amount)} USD)"
    return f"{budget} does not cover the request: {left}; the next one begins on {begins} (UTC)"


def away() -> Refusal:
    """What to answer when limits cannot be looked at, and nobody may pass without."""
    message = "the gateway cannot look at rate limits and credits, because their store is away; try again later"
    return Refusal(503, ErrorType.GATEWAY_UNAVAILABLE, message, [(b"retry-after", b"1")])


def usd(units: int) -> str:
    """A sum of money in plain digits."""
    text = format(Decimal(units) / UNITS_PER_USD, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
