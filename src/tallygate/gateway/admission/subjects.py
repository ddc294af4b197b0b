"""Who is limited by what: a key, its user, the model asked for, the provider."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from tallygate.gateway.state.interface import HoldAsk, WindowAsk
from tallygate.gateway.state.rates import PerMinute

if TYPE_CHECKING:
    from tallygate.gateway.caller import Allowance
    from tallygate.gateway.settings.rates import AllowanceSettings

DAY: Final = 86400
"""Seconds."""


class Limit(NamedTuple):
    """One thing that can refuse a request."""

    kind: str
    """requests, tokens, concurrency, credits or budget."""
    owner: str
    """key, user, model or provider."""
    whose: str
    """As the message says it: this API key, the model 'x', ..."""
    amount: int
    """How much is allowed."""
    period: str = ""
    """daily or monthly, of a budget."""

    @property
    def word(self) -> str:
        """As RateLimited.limit_type."""
        return f"{self.owner}_{self.kind}"


class Subject:
    """A key, a user, a model or a provider, and its limits."""

    __slots__ = ("concurrency", "owner", "requests", "tokens")

    def __init__(
        self, owner: str, name: str, whose: str, requests: int | None, tokens: int | None, concurrency: int | None
    ) -> None:
        """owner: key, user, model or provider. name: which one."""

        self.owner = owner

        def window(kind: str, limit: int, amount: int | None) -> WindowAsk:
            return WindowAsk(PerMinute(limit).key_for(owner, name, kind).encode(), limit, amount)

        self.requests: tuple[WindowAsk, Limit] | None = None
        self.tokens: tuple[WindowAsk, Limit] | None = None
        self.concurrency: tuple[HoldAsk, Limit] | None = None
        if requests is not None:
            self.requests = window("requests", requests, 1), Limit("requests", owner, whose, requests)
        if tokens is not None:
            self.tokens = window("tokens", tokens, None), Limit("tokens", owner, whose, tokens)
        if concurrency is not None:
            limit = Limit("concurrency", owner, whose, concurrency)
            self.concurrency = HoldAsk(f"{owner}/{name}/concurrency".encode(), concurrency, 1), limit

    @property
    def limited(self) -> bool:
        return not (self.requests is None and self.tokens is None and self.concurrency is None)


def configured(owner: str, name: str, whose: str, settings: AllowanceSettings) -> Subject:
    """A model or a provider."""
    return Subject(owner, name, whose, settings.requests_per_minute, settings.tokens_per_minute, settings.concurrency)


def subject_of(owner: str, name: str, whose: str, own: Allowance, general: AllowanceSettings) -> Subject:
    """A key or a user: its own limits, and the general ones where it has none."""
    requests, tokens, concurrency = own.requests_per_minute, own.tokens_per_minute, own.concurrency
    return Subject(
        owner,
        name,
        whose,
        general.requests_per_minute if requests is None else requests,
        general.tokens_per_minute if tokens is None else tokens,
        general.concurrency if concurrency is None else concurrency,
    )


def date_of(day: int) -> str:
    """The date of a day (days since 1970), as in 2026-11-21."""
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")


def ends(period: str, day: int) -> datetime:
    """When a day or month is over: the day (days since 1970), or its month."""
    tomorrow = datetime.fromtimestamp((day + 1) * DAY, UTC)
    if period == "daily":
        return tomorrow
    return ((tomorrow - timedelta(days=1)).replace(day=1) + timedelta(days=32)).replace(day=1)
