"""What a caller's requests ask for: prepared once, and again when the caller changes, or the day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from tallygate.gateway.admission.subjects import Limit, Subject, date_of, subject_of
from tallygate.gateway.admission.telling import Told
from tallygate.gateway.state.interface import Asked, HoldAsk, Purse

if TYPE_CHECKING:
    from tallygate.gateway.caller import Caller
    from tallygate.gateway.settings.rates import RateSettings
    from tallygate.ledger.interface import Row


class Money(NamedTuple):
    """What calls are paid from, and how much of it there is."""

    purse: Purse
    limit: Limit


class Plan:
    """What is asked of some subjects together, prepared once: requests differ only in their tokens and money."""

    __slots__ = ("asked", "day", "gauges", "limits", "told")

    def __init__(self, subjects: Sequence[Subject], *, tokens: bool, money: Sequence[Money] = (), day: int = 0) -> None:
        """tokens: whether limits of tokens are asked, too. money: what is held on this ``day``."""
        windows = [
            found
            for subject in subjects
            for found in (subject.requests, subject.tokens if tokens else None)
            if found is not None
        ]
        holds = [subject.concurrency for subject in subjects if subject.concurrency is not None]
        holds += [(HoldAsk(one.purse.key, one.limit.amount, None, one.purse), one.limit) for one in money]
        self.asked = Asked([ask for ask, _ in windows], [ask for ask, _ in holds])
        self.limits = [limit for _, limit in (*windows, *holds)]
        """Of windows and holds, in their order."""
        self.told = Told(self.limits[: len(windows)])
        self.gauges: list[Row] | None = None
        """What shows how much of each window is left; kept for ``Limits``."""
        self.day = day


class Account:
    """The limits of a caller: of its key and its user, with their money."""

    __slots__ = ("_plans", "caller", "spends", "subjects")

    def __init__(self, caller: Caller, rates: RateSettings) -> None:
        self.caller = caller
        both = (
            subject_of("key", caller.key_id, "this API key", caller.key, rates.key),
            subject_of("user", caller.user_id, "the account of this API key", caller.user, rates.user),
        )
        self.subjects = tuple(subject for subject in both if subject.limited)
        budgets = (caller.key, caller.user)
        self.spends = caller.prepaid or any(
            one.daily_budget is not None or one.monthly_budget is not None for one in budgets
        )
        """Whether money is looked at."""
        self._plans: dict[tuple[Subject | None, bool], Plan] = {}

    def plan(self, model: Subject | None, tokens: bool, day: int) -> Plan:
        """What is asked for a request. model: that is limited. tokens: whether they are counted. day: of whose money
        (days since 1970); 0: of none."""
        plan = self._plans.get((model, tokens))
        if plan is None or plan.day != day:
            subjects = self.subjects if model is None else (*self.subjects, model)
            money = purses(self.caller, day) if day else ()
            plan = self._plans[model, tokens] = Plan(subjects, tokens=tokens, money=money, day=day)
        return plan


def purses(caller: Caller, day: int) -> list[Money]:
    """What a caller's calls are paid from on a day (days since 1970)."""
    found: list[Money] = []
    if caller.prepaid:
        found.append(Money(Purse("user", caller.user_id), Limit("credits", "user", "", caller.granted)))
    date = date_of(day)
    for purse, whose, budget, period in (
        (Purse("key", caller.key_id, date), "this API key", caller.key.daily_budget, "daily"),
        (Purse("key", caller.key_id, date[:7]), "this API key", caller.key.monthly_budget, "monthly"),
        (Purse("user", caller.user_id, date), "the account of this API key", caller.user.daily_budget, "daily"),
        (Purse("user", caller.user_id, date[:7]), "the account of this API key", caller.user.monthly_budget, "monthly"),
    ):
        if budget is not None:
            found.append(Money(purse, Limit("budget", purse.owner, whose, budget, period)))
    return found
