"""Who may call, how much, and what it cost them; and the state of what the calls depend on."""

from __future__ import annotations

from tallygate.facts import (
    APIKeys,
    APIKeyUse,
    Connections,
    CreditBalance,
    CreditUse,
    ProviderHealth,
    RateLimit,
    RateLimited,
    StoreFailure,
    Subscriptions,
    Trials,
)
from tallygate.record.recording import Recording


class AccountRecording(Recording):
    """Writing facts of accounts, limits, providers' health, connections and stores."""

    def record_rate_limited(self, limit_type: str) -> None:
        """A rate limit of ours refused a request. limit_type: which one, as configured."""
        self.count(RateLimited, (limit_type,))

    def set_rate_limit(self, limit_type: str, remaining: float) -> None:
        """What is left of a rate limit of ours."""
        self._set(RateLimit, (limit_type,), {RateLimit.remaining: remaining}, below_zero=True)

    def record_api_key_use(self, status: str = "success", api_key_id: str | None = None) -> None:
        """A key that we gave out was used. api_key_id: its id, never the key itself; see ``Tally(identities=...)``."""
        self.count(APIKeyUse, (self.identity("api_key_id", api_key_id), status))

    def set_api_keys(self, status: str, count: float) -> None:
        """How many keys of ours have this status: active, inactive, ..."""
        self._set(APIKeys, (status,), {APIKeys.now: count})

    def record_credits(
        self, credits: float, *, provider: str = "", model: str = "", user_id: str | None = None
    ) -> None:
        """Credits were taken for a call. user_id: see ``Tally(identities=...)``."""
        self.count(CreditUse, (provider, model, self.identity("user_id", user_id)), credits)

    def set_credit_balance(self, credits: float, *, plan_type: str = "", user_id: str | None = None) -> None:
        """Credits that are left: to a user, or without one to all of a plan together.

        A user's is not kept while the identity ``user_id`` is off, nor for one who is ``other``: one number cannot
        stand for all users of a plan.
        """
        label = "" if user_id is None else self.identity("user_id", user_id)
        if user_id is None or (self.identities is not None and self.identities.is_one("user_id", label)):
            self._set(CreditBalance, (plan_type, label), {CreditBalance.credits: credits}, below_zero=True)

    def set_trials(self, status: str, count: float) -> None:
        """How many trial accounts have this status: active, expired, ..."""
        self._set(Trials, (status,), {Trials.now: count})

    def set_subscriptions(self, plan_type: str, billing_cycle: str, count: float) -> None:
        """How many subscriptions of this plan and billing cycle there are."""
        self._set(Subscriptions, (plan_type, billing_cycle), {Subscriptions.now: count})

    def set_connections(self, connection_type: str, count: float) -> None:
        """How many connections of a kind this worker has open."""
        self._set(Connections, (connection_type,), {Connections.now: count})

    def set_provider_health(
        self, provider: str, *, available: bool | None = None, error_rate: float | None = None
    ) -> None:
        """How a provider is doing. error_rate: 0 to 1, put into these bounds; what is None stays as it was."""
        if isinstance(error_rate, (int, float)) and not 0 <= error_rate <= 1:
            error_rate = 1 if error_rate > 1 else 0 if error_rate < 0 else error_rate
        reachable = None if available is None else int(bool(available))
        gauges = {ProviderHealth.available: reachable, ProviderHealth.error_rate: error_rate}
        self._set(ProviderHealth, (provider,), gauges)

    def record_store_failure(self, store: str, *, provider: str = "", operation: str = "store") -> None:
        """A record of ours could not be stored. The words are those of facts.StoreFailure."""
        if self._known(StoreFailure, "store", store, StoreFailure.store.values) and self._known(
            StoreFailure, "operation", operation, StoreFailure.operation.values
        ):
            self.count(StoreFailure, (store, provider, operation))
