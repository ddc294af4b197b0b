"""The gate of a gateway: asks the store of limits for all that a request may use, in one step."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import structlog

from tallygate.facts import RateLimit, RateLimited, StoreFailure
from tallygate.gateway.admission import telling
from tallygate.gateway.admission.interface import Admission
from tallygate.gateway.admission.plans import Account, Plan
from tallygate.gateway.admission.subjects import DAY, Subject, configured, date_of
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.state.interface import Granted, HoldAsk, Purse, Refused, StateAway, Store

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
        self._plans: dict[tuple[Subject, bool], Plan] = {}
        """Of models and providers, whoever asks."""
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
        day = 0
        if caller is not None:
            account = self._accounts.get(caller.key_id)
            if account is None or account.caller is not caller:
                account = self._learn(caller)
            if account.spends and head is not None:
                day = int(self._clock() // DAY)
            plan = account.plan(model, head is not None, day)
        elif model is not None:
            plan = self._plan(model, tokens=True)
        else:
            return
        taken = await self._take(exchange, plan)
        if isinstance(taken, Refusal):
            raise taken
        if taken is not None:
            exchange.admission = Admission(taken, day)

    async def try_provider(self, exchange: Exchange, provider: str) -> Refusal | None:
        """As Gate.try_provider."""
        admission = exchange.admission
        if admission is not None and admission.attempt is not None:
            attempt, admission.attempt = admission.attempt, None
            self._store.settle(attempt, 0, 0)
        subject = self._providers.get(provider)
        if subject is None:
            return None
        taken = await self._take(exchange, self._plan(subject, tokens=exchange.head is not None))
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
            holds = None
            if admission.day and (today := int(self._clock() // DAY)) != admission.day:
                holds = _paid_on(entry.asked.holds, today)
            self._store.settle(entry, tokens, cost, transaction, holds)
        if admission.attempt is not None:
            self._store.settle(admission.attempt, tokens, 0, transaction)

    async def _take(self, exchange: Exchange, plan: Plan) -> Granted | Refusal | None:
        """All of it, or a refusal; None when nothing is asked for, or the store is away and requests pass without."""
        asked = plan.asked
        if not asked.windows and not asked.holds:
            return None
        tokens = money = 0
        if asked.tokens or asked.purses:
            prompt, output = self._estimate(exchange)
            tokens = prompt + output
            if asked.purses:
                money = self._reservation(exchange, prompt, output)
        try:
            answer = await self._store.admit(asked, tokens, money)
        except StateAway as problem:
            return self._pass_or_refuse(problem)
        if self._away:
            self._away = False
            log.info("limits are kept again")
        if isinstance(answer, Refused):
            return self._refuse(exchange, plan, answer, tokens, money)
        if asked.windows:
            gauges = plan.gauges
            if gauges is None:
                gauges = plan.gauges = self._gauges_of(plan)
            for gauge, left in zip(gauges, answer.remaining, strict=False):  # there are none with metrics off
                gauge.set(0, left)
            if plan.limits[0].owner != "provider":
                api = exchange.route.kind
                exchange.more_headers += plan.told.headers(answer.remaining, answer.reset, api, self._clock)
        return answer

    def _refuse(self, exchange: Exchange, plan: Plan, refused: Refused, tokens: int, money: int) -> Refusal:
        limit = plan.limits[refused.which]
        if limit.kind in COUNTED:
            self._tally.record_rate_limited(limit.word)
        if limit.kind in WINDOWS:
            if (gauge := self._gauges.get((limit.owner, limit.kind))) is not None:
                gauge.set(0, refused.remaining)
            if limit.owner != "provider":
                told = telling.Told([limit])
                api = exchange.route.kind
                exchange.more_headers += told.headers([refused.remaining], refused.reset, api, self._clock)
            amount = min(tokens, limit.amount)
        else:
            amount = money
        return telling.refusal(limit, refused, amount, plan.day)

    def _pass_or_refuse(self, problem: StateAway) -> Refusal | None:
        self._tally.record_store_failure("limits")
        if not self._away:
            self._away = True
            meanwhile = "requests are refused" if self._closed else "requests pass without limits"
            log.error(f"limits cannot be kept; {meanwhile}", problem=str(problem))
        return telling.away() if self._closed else None

    def _plan(self, subject: Subject, *, tokens: bool) -> Plan:
        plan = self._plans.get((subject, tokens))
        if plan is None:
            plan = self._plans[subject, tokens] = Plan((subject,), tokens=tokens)
        return plan

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

    def _reservation(self, exchange: Exchange, prompt: int, output: int) -> int:
        """What these tokens may cost at the dearest deployment that may answer, in units of 10^-11 USD.

        A model without a price costs nothing.
        """
        deployment, target = exchange.deployment, exchange.target
        if deployment is None:
            return 0
        price_of, most = self._tally.prices.price_of, 0
        for one in target.all_deployments if target is not None and target.has_choice else (deployment,):
            price = price_of(one.provider.name, one.label)
            if price is not None:
                most = max(most, price.cost(prompt, output))
        return min(most, MOST_RESERVED)

    def _gauges_of(self, plan: Plan) -> list[Row]:
        """What shows how much is left of a plan's windows; none of them when nothing is recorded."""
        limits = plan.limits[: len(plan.asked.windows)]
        return [self._gauges[limit.owner, limit.kind] for limit in limits] if self._gauges else []

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


def _paid_on(holds: Sequence[HoldAsk], today: int) -> list[HoldAsk]:
    """What is freed and paid from when another day has begun: calls count on the day on which they end."""
    paid = []
    for hold in holds:
        purse = hold.purse
        if purse is not None and purse.period:
            now = Purse(purse.owner, purse.id, date_of(today)[: len(purse.period)])
            if now != purse:
                paid += [hold._replace(purse=None), HoldAsk(now.key, 0, 0, now)]
                continue
        paid.append(hold)
    return paid
