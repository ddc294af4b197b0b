"""Who is limited by what: a key, its user, the model asked for, the provider."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from tallygate.gateway.state.interface import HoldAsk, Purse, WindowAsk
from tallygate.gateway.state.rates import PerMinute

if TYPE_CHECKING:
    from tallygate.gateway.caller import Allowance, Caller
    from tallygate.gateway.settings.rates import AllowanceSettings, RateSettings
    from tallygate.ledger.interface import Row

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

        def window(kind: str, amount: int) -> WindowAsk:
            return WindowAsk(PerMinute(amount).key_for(owner, name, kind).encode(), amount, 1)

        self.requests: tuple[WindowAsk, Limit] | None = None
        self.tokens: tuple[WindowAsk, Limit] | None = None
        self.concurrency: tuple[HoldAsk, Limit] | None = None
        if requests is not None:
            self.requests = window("requests", requests), Limit("requests", owner, whose, requests)
        if tokens is not None:
            self.tokens = window("tokens", tokens), Limit("tokens", owner, whose, tokens)
        if concurrency is not None:
            limit = Limit("concurrency", owner, whose, concurrency)
            self.concurrency = HoldAsk(f"{owner}/{name}/concurrency".encode(), concurrency, 1), limit

    @property
    def limited(self) -> bool:
        return not (self.requests is None and self.tokens is None and self.concurrency is None)


class Plan:
    """What is asked of some subjects together, prepared once: requests differ only in their tokens and money."""

    __slots__ = ("gauges", "holds", "of_holds", "of_windows", "tokens", "windows")

    def __init__(self, subjects: Sequence[Subject], *, tokens: bool) -> None:
        """tokens: whether limits of tokens are asked, too."""
        self.windows: list[WindowAsk] = []
        self.of_windows: list[Limit] = []
        self.tokens: list[int] = []
        """Places among ``windows`` of those of tokens."""
        self.gauges: list[Row | None] | None = None
        """What shows how much of each window is left; kept for ``Limits``."""
        self.holds: list[HoldAsk] = []
        self.of_holds: list[Limit] = []
        for subject in subjects:
            for found in (subject.requests, subject.tokens if tokens else None):
                if found is not None:
                    if found is subject.tokens:
                        self.tokens.append(len(self.windows))
                    self.windows.append(found[0])
                    self.of_windows.append(found[1])
            if subject.concurrency is not None:
                self.holds.append(subject.concurrency[0])
                self.of_holds.append(subject.concurrency[1])


class Money(NamedTuple):
    """What calls are paid from, and how much of it there is."""

    key: bytes
    """``purse.key``."""
    purse: Purse
    limit: Limit


def configured(owner: str, name: str, whose: str, settings: AllowanceSettings) -> Subject:
    """A model or a provider."""
    return Subject(owner, name, whose, settings.requests_per_minute, settings.tokens_per_minute, settings.concurrency)


class Account:
    """The limits of a caller: of its key and its user, with their money."""

    __slots__ = ("_day", "_plans", "_purses", "caller", "spends", "subjects")

    def __init__(self, caller: Caller, rates: RateSettings) -> None:
        self.caller = caller
        both = (
            _subject("key", caller.key_id, "this API key", caller.key, rates.key),
            _subject("user", caller.user_id, "the account of this API key", caller.user, rates.user),
        )
        self.subjects = tuple(subject for subject in both if subject.limited)
        budgets = (caller.key, caller.user)
        self.spends = caller.prepaid or any(
            one.daily_budget is not None or one.monthly_budget is not None for one in budgets
        )
        """Whether money is looked at."""
        self._day = -1
        self._purses: list[Money] = []
        self._plans: dict[tuple[Subject | None, bool], Plan] = {}

    def plan(self, model: Subject | None, tokens: bool) -> Plan:
        """What is asked for a request; model: that is limited; tokens: whether they are counted."""
        plan = self._plans.get((model, tokens))
        if plan is None:
            subjects = self.subjects if model is None else (*self.subjects, model)
            plan = self._plans[model, tokens] = Plan(subjects, tokens=tokens)
        return plan

    def purses(self, day: int) -> list[Money]:
        """What its calls are paid from on a day (days since 1970)."""
        if day != self._day:
            self._day, self._purses = day, _purses(self.caller, day)
        return self._purses


def date_of(day: int) -> str:
    """The date of a day (days since 1970), as in 2026-11-21."""
    return datetime.fromtimestamp(day * DAY, UTC).strftime("%Y-%m-%d")


def ends(period: str, day: int) -> datetime:
    """When a day or month is over: the day (days since 1970), or its month."""
    tomorrow = datetime.fromtimestamp((day + 1) * DAY, UTC)
    if period == "daily":
        return tomorrow
    return ((tomorrow - timedelta(days=1)).replace(day=1) + timedelta(days=32)).replace(day=1)


def _subject(owner: str, name: str, whose: str, own: Allowance, general: AllowanceSettings) -> Subject:
    requests, tokens, concurrency = own.requests_per_minute, own.tokens_per_minute, own.concurrency
    return Subject(
        owner,
        name,
        whose,
        general.requests_per_minute if requests is None else requests,
        general.tokens_per_minute if tokens is None else tokens,
        general.concurrency if concurrency is None else concurrency,
    )


def _purses(caller: Caller, day: int) -> list[Money]:
    found: list[Money] = []
    if caller.prepaid:
        purse = Purse("user", caller.user_id)
        found.append(Money(purse.key, purse, Limit("credits", "user", "", caller.granted)))
    date = date_of(day)
    for purse, whose, budget, period in (
        (Purse("key", caller.key_id, date), "this API key", caller.key.daily_budget, "daily"),
        (Purse("key", caller.key_id, date[:7]), "this API key", caller.key.monthly_budget, "monthly"),
        (Purse("user", caller.user_id, date), "the account of this API key", caller.user.daily_budget, "daily"),
        (Purse("user", caller.user_id, date[:7]), "the account of this API key", caller.user.monthly_budget, "monthly"),
    ):
        if budget is not None:
            found.append(Money(purse.key, purse, Limit("budget", purse.owner, whose, budget, period)))
    return found
