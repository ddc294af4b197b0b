"""How limits are told to clients: headers in the form of each API, and the messages of refusals."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from tallygate.errors import ErrorType
from tallygate.gateway.admission.subjects import Limit, ends
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.state.interface import WINDOW_SECONDS
from tallygate.pricing import UNITS_PER_USD

if TYPE_CHECKING:
    from tallygate.gateway.state.interface import Refused

Headers = tuple[tuple[bytes, bytes], ...]
FULL_RETRY = 1
"""Seconds after which to try again when all places are taken: nobody knows when one is free."""


class Told:
    """The limits of windows, ready but for their numbers: of each kind the one is told that is nearest to its end."""

    __slots__ = ("_kinds",)

    def __init__(self, limits: Sequence[Limit]) -> None:
        """limits: of all windows, in their order."""
        kinds: dict[str, list[tuple[int, bytes]]] = {}
        for place, limit in enumerate(limits):
            kinds.setdefault(limit.kind, []).append((place, b"%d" % limit.amount))
        self._kinds = [(_OPENAI[kind], _ANTHROPIC[kind], windows) for kind, windows in kinds.items()]

    def headers(self, remaining: Sequence[int], reset: float, api: str, clock: Callable[[], float]) -> Headers:
        """remaining: of each window. reset: seconds until all are free. api: as Route.kind. clock: Unix time."""
        found: Headers = ()
        anthropic = api == "anthropic"
        free_at = _moment(clock() + reset) if anthropic else duration(reset)
        for openai_names, anthropic_names, windows in self._kinds:
            of_limit, of_remaining, of_reset = anthropic_names if anthropic else openai_names
            place, limit = windows[0]
            left = remaining[place]
            for other, its_limit in windows[1:]:
                if remaining[other] < left:
                    left, limit = remaining[other], its_limit
            found += ((of_limit, limit), (of_remaining, b"%d" % left), (of_reset, free_at))
        return found


def _names(form: str) -> dict[str, tuple[bytes, bytes, bytes]]:
    """Of the headers that tell a limit, what remains of it, and when it is free again."""
    return {
        kind: (
            form.format(kind=kind, what="limit").encode(),
            form.format(kind=kind, what="remaining").encode(),
            form.format(kind=kind, what="reset").encode(),
        )
        for kind in ("requests", "tokens")
    }


_OPENAI, _ANTHROPIC = _names("x-ratelimit-{what}-{kind}"), _names("anthropic-ratelimit-{kind}-{what}")


def _moment(time: float) -> bytes:
    """As Anthropic writes it."""
    return datetime.fromtimestamp(math.ceil(time), UTC).strftime("%Y-%m-%dT%H:%M:%SZ").encode()


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
