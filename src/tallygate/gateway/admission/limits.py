"""The gate of a gateway: asks the store of limits for all that a request may use, in one step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from tallygate.facts import RateLimit, RateLimited, StoreFailure
from tallygate.gateway.admission import telling
from tallygate.gateway.admission.interface import Admission, Taken
from tallygate.gateway.admission.subjects import DAY, Account, Limit, Plan, Subject, configured, date_of
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.state.interface import HoldAsk, Purse, Refused, StateAway, Store, WindowAsk, WindowState

if TYPE_CHECKING:
    from tallygate.gateway.caller import Caller
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.settings.rates import RateSettings
    from tallygate.gateway.state.environment import Transaction
    from tallygate.ledger.interface import Row
    from tallygate.tally import Tally

log = structlog.get_logger("tallygate.gateway")

BYTES_PER_TOKEN = 4
"""What a token of a prompt is taken for until the provider has counted."""
MOST_ACCOUNTS = 10_000
"""Callers whose limits are kept at hand."""
MOST_RESERVED = 2**60
"""No reservation is larger; the store adds them up in 64 bits."""
WINDOWS = ("requests", "tokens")
COUNTED = (*WINDOWS, "concurrency")
"""Kinds of limits that are rate limits; the others are money."""


class Limits:
    """A Gate, and a service. Requests that nothing limits pass without a look at the store."""

    def __init__(
        self,
        rates: RateSettings,
        tally: Tally,
        open_store: Callable[[], Store],
        *,
        closed: bool = False,
        accounts: bool = True,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """open_store: called at the start. closed: whether requests are refused when the store is away. accounts:
        whether there are any. clock: Unix time, for budgets."""
        self._rates, self._tally, self._open_store = rates, tally, open_store
        self._closed, self._clock = closed, clock
        self._store: Store
        self._models = {
            name: subject
            for name, allowance in rates.models.items()
            if (subject := configured("model", name, f"the model {name!r}", allowance)).limited
        }
        self._providers = {
            name: subject
            for name, allowance in rates.providers.items()
            if (subject := configured("provider", name, f"the provider {name!r}", allowance)).limited
        }
        self._accounts: dict[str, Account] = {}
        self._away = False
        self._gauges: dict[tuple[str, str], Row] = {}
        """By owner and kind of a limit."""
        owners = [*(("key", "user") if accounts else ()), *(["model"] if self._models else [])]
        self._show_zeros([*owners, *(["provider"] if self._providers else [])])

    async def start(self) -> None:
        """Open the store. Raises StateError, StoreRefused."""
        self._store = self._open_store()
        await self._store.start()

    async def close(self) -> None:
        """Let go."""
        await self._store.close()

    async def admit(self, exchange: Exchange) -> None:
        """As Gate.admit."""
        caller, head = exchange.caller, exchange.head
        model = self._model(exchange) if self._models else None
        holds: list[HoldAsk] = []
        money: list[Limit] = []
        day = 0
        if caller is not None:
            account = self._accounts.get(caller.key_id)
            if account is None or account.caller is not caller:
                account = self._learn(caller)
            plan = account.plan(model, head is not None)
            if account.spends and head is not None:
                day = int(self._clock() // DAY)
                reserved = self._reservation(exchange)
                for key, purse, limit in account.purses(day):
                    holds.append(HoldAsk(key, limit.amount, reserved, purse))
                    money.append(limit)
        elif model is not None:
            plan = Plan((model,), tokens=True)
        else:
            return
        taken = await self._take(exchange, plan, holds, money, day)
        if isinstance(taken, Refusal):
            raise taken
        if taken is not None:
            exchange.admission = Admission(taken, day)

    async def try_provider(self, exchange: Exchange, provider: str) -> Refusal | None:
        """As Gate.try_provider."""
        admission = exchange.admission
        if admission is not None and admission.attempt is not None:
            attempt, admission.attempt = admission.attempt, None
            self._free(attempt, 0, _held(attempt), None)
        subject = self._providers.get(provider)
        if subject is None:
            return None
        taken = await self._take(exchange, Plan((subject,), tokens=exchange.head is not None), [], [], 0)
        if isinstance(taken, Refusal):
            return taken
        if taken is not None:
            if admission is None:
                admission = exchange.admission = Admission(None, 0)
            admission.attempt = taken
        return None

    def settle(self, exchange: Exchange, tokens: int, cost: int, transaction: Transaction | None = None) -> None:
        """As Gate.settle."""
        admission = exchange.admission
        if admission is None:
            return
        if self._store.joins and transaction is not None:
            self._settle(admission, tokens, cost, transaction)
            return
        exchange.admission = None  # done now, whatever becomes of somebody else's transaction
        try:
            self._settle(admission, tokens, cost, None)
        except Exception as problem:
            self._tally.failed(RateLimit, problem)

    def _settle(self, admission: Admission, tokens: int, cost: int, transaction: Transaction | None) -> None:
        entry = admission.entry
        if entry is not None:
            paid = [(key, amount, 0 if purse is None else cost) for key, _, amount, purse in entry.holds]
            if admission.day and (today := int(self._clock() // DAY)) != admission.day:
                paid = _paid_on(entry, cost, today)
            self._free(entry, tokens, paid, transaction)
        if admission.attempt is not None:
            self._free(admission.attempt, tokens, _held(admission.attempt), transaction)

    async def _take(
        self, exchange: Exchange, plan: Plan, money: list[HoldAsk], purses: list[Limit], day: int
    ) -> Taken | Refusal | None:
        """All of it, or a refusal; None when the store is away, and requests pass without limits."""
        windows, counted = plan.windows, []
        if plan.tokens:
            windows, estimated = windows.copy(), sum(self._estimate(exchange))
            for place in plan.tokens:
                key, most, _ = windows[place]
                # More than a whole minute's tokens pass when nothing else did.
                windows[place] = ask = WindowAsk(key, most, min(estimated, most))
                counted.append(ask)
        holds, of_holds = plan.holds, plan.of_holds
        if money:
            holds, of_holds = [*holds, *money], [*of_holds, *purses]
        if not windows and not holds:
            return None
        try:
            answer = await self._store.admit(windows, holds)
        except StateAway as problem:
            return self._pass_or_refuse(problem)
        if self._away:
            self._away = False
            log.info("limits are kept again")
        of_windows = plan.of_windows
        if isinstance(answer, Refused):
            return self._refuse(exchange, answer, [*of_windows, *of_holds], [*windows, *holds], day)
        if of_windows:
            gauges = plan.gauges
            if gauges is None:
                gauges = plan.gauges = [self._gauges.get((limit.owner, limit.kind)) for limit in of_windows]
            for gauge, state in zip(gauges, answer.windows, strict=True):
                if gauge is not None:
                    gauge.set(0, state.remaining)
            if of_windows[0].owner != "provider":
                exchange.more_headers += telling.headers(of_windows, answer.windows, exchange.route.kind, self._clock())
        return Taken(answer, counted, holds)

    def _refuse(
        self, exchange: Exchange, refused: Refused, limits: list[Limit], asks: Sequence[WindowAsk | HoldAsk], day: int
    ) -> Refusal:
        limit = limits[refused.which]
        if limit.kind in COUNTED:
            self._tally.record_rate_limited(limit.word)
        if limit.kind in WINDOWS:
            if (gauge := self._gauges.get((limit.owner, limit.kind))) is not None:
                gauge.set(0, refused.remaining)
            if limit.owner != "provider":
                state = WindowState(refused.remaining, refused.reset)
                exchange.more_headers += telling.headers([limit], [state], exchange.route.kind, self._clock())
        return telling.refusal(limit, refused, asks[refused.which].amount, day)

    def _pass_or_refuse(self, problem: StateAway) -> Refusal | None:
        self._tally.record_store_failure("limits")
        if not self._away:
            self._away = True
            meanwhile = "requests are refused" if self._closed else "requests pass without limits"
            log.error(f"limits cannot be kept; {meanwhile}", problem=str(problem))
        return telling.away() if self._closed else None

    def _free(
        self, taken: Taken, tokens: int, paid: list[tuple[bytes, int, int]], transaction: Transaction | None
    ) -> None:
        corrections = [(key, tokens - amount) for key, _, amount in taken.tokens if tokens != amount]
        self._store.settle(taken.granted, corrections, paid, transaction)

    def _learn(self, caller: Caller) -> Account:
        """The limits of a caller that is new, or has changed."""
        if len(self._accounts) >= MOST_ACCOUNTS:
            self._accounts.clear()
        account = self._accounts[caller.key_id] = Account(caller, self._rates)
        return account

    def _model(self, exchange: Exchange) -> Subject | None:
        """The limits of the model that is asked for, whatever name of it is used."""
        head, target, deployment = exchange.head, exchange.target, exchange.deployment
        if head is None:
            return None
        found = self._models.get(head.model)
        if found is None and target is not None:
            found = self._models.get(target.name)
        if found is None and deployment is not None:
            found = self._models.get(deployment.model)
        return found

    def _estimate(self, exchange: Exchange) -> tuple[int, int]:
        """Input and output tokens that a request may use."""
        assert exchange.head is not None
        most = exchange.head.max_output_tokens
        output = self._rates.assumed_output_tokens if most is None else most
        return -(-len(exchange.body) // BYTES_PER_TOKEN), output

    def _reservation(self, exchange: Exchange) -> int:
        """What that may cost at the dearest deployment that may answer, in units of 10^-11 USD.

        A model without a price costs nothing.
        """
        deployment, target = exchange.deployment, exchange.target
        if deployment is None:
            return 0
        may_answer = target.all_deployments if target is not None and target.has_choice else (deployment,)
        prices = [self._tally.prices.price_of(one.provider.name, one.label) for one in may_answer]
        tokens = self._estimate(exchange)
        return min(max(0 if price is None else price.cost(*tokens) for price in prices), MOST_RESERVED)

    def _show_zeros(self, owners: Sequence[str]) -> None:
        """So that "nothing was refused" is a 0 to be seen, and not the want of a series."""
        if not self._tally.enabled:
            return
        tables = self._tally.tables
        tables[StoreFailure].row("limits", "", "store")
        for owner in owners:
            for kind in COUNTED:
                tables[RateLimited].row(f"{owner}_{kind}")
            for kind in WINDOWS:
                self._gauges[owner, kind] = tables[RateLimit].row(f"{owner}_{kind}")


def _held(taken: Taken) -> list[tuple[bytes, int, int]]:
    return [(key, amount, 0) for key, _, amount, _ in taken.holds]


def _paid_on(taken: Taken, cost: int, today: int) -> list[tuple[bytes, int, int]]:
    """What is freed and paid when another day has begun: calls count on the day on which they end."""
    paid = []
    for key, _, amount, purse in taken.holds:
        now = purse
        if purse is not None and purse.period:
            now = Purse(purse.owner, purse.id, date_of(today)[: len(purse.period)])
        if now is purse or now is None or now.key == key:
            paid.append((key, amount, 0 if now is None else cost))
        else:
            paid += [(key, amount, 0), (now.key, 0, cost)]
    return paid
