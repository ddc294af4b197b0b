"""What counts as a failure of a provider, and what follows from it for its deployments."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Final

import structlog

from tallygate.errors import ErrorType
from tallygate.gateway.failover.backoff import pause
from tallygate.gateway.failover.breaker import CLOSED, OPEN, Breaker

if TYPE_CHECKING:
    from tallygate.gateway.exchange import Exchange
    from tallygate.gateway.failover.choosing import Target
    from tallygate.gateway.failover.deployments import Deployment
    from tallygate.gateway.providers import Provider
    from tallygate.gateway.settings.failover import FailoverSettings
    from tallygate.tally import Tally

log = structlog.get_logger("tallygate.gateway")

OF_A_KEY: Final = frozenset({401, 402, 403})
"""Statuses that are about the key that was sent: the same deployment would say the same again."""

AGAINST: Final = frozenset(
    {
        ErrorType.PROVIDER_SERVER_ERROR, ErrorType.PROVIDER_OVERLOADED, ErrorType.PROVIDER_TIMEOUT,
        ErrorType.PROVIDER_NETWORK, ErrorType.PROVIDER_INVALID_RESPONSE, ErrorType.PROVIDER_STREAM_CUT,
        ErrorType.PROVIDER_AUTHENTICATION,
    }
)  # fmt: skip
"""What a breaker counts. A rate limit is no defect: its deployment is spared for a while instead."""


class Failover:
    """The configured policy, and the clocks and chances it goes by."""

    def __init__(
        self,
        settings: FailoverSettings,
        tally: Tally,
        *,
        forwards_credentials: bool = False,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """forwards_credentials: whether callers' own keys go to providers for which the gateway has none.

        chance: gives numbers from 0 to 1.
        """
        self.settings, self.tally = settings, tally
        self.clock, self.wall_clock, self.chance, self.sleep = clock, wall_clock, chance, sleep
        self._forwards_credentials = forwards_credentials
        words = settings.statuses
        self._statuses = frozenset(
            status for status in range(400, 600) if str(status) in words or f"{status // 100}xx" in words
        )

    def seed(self, deployments: Iterable[Deployment], targets: Iterable[Target]) -> None:
        """Let what is configured be seen before anything happens."""
        for deployment in deployments:
            self.tally.seed_deployment(deployment.provider.name, deployment.label)
        for target in targets:
            for fallback in target.fallbacks:
                self.tally.seed_fallback(target.name, fallback.name)

    def make_breaker(self, provider: Provider, model: str) -> Breaker:
        """The breaker of a configured deployment."""

        def tell(state: str) -> None:
            self.tally.breaker_changed(provider.name, model, state)
            if state == OPEN:
                log.warning("deployment out of service", provider=provider.name, model=model, cause=breaker.cause)
            elif state == CLOSED:
                log.info("deployment in service again", provider=provider.name, model=model)

        breaker = Breaker(self.settings.breaker_failures, self.settings.breaker_seconds, tell)
        return breaker

    def is_failure(self, deployment: Deployment, status: int) -> bool:
        """Whether another try may be made after an answer with this status."""
        return status in self._statuses and (status not in OF_A_KEY or not self.is_callers_key(deployment))

    def is_callers_key(self, deployment: Deployment) -> bool:
        """Whether it is the caller's own key that goes there; then what is wrong with it is the caller's affair."""
        return self._forwards_credentials and not deployment.provider.has_key

    def pause(self, retry: int) -> float:
        """Seconds before the nth retry of a model."""
        settings = self.settings
        return pause(retry, settings.backoff_seconds, settings.longest_backoff_seconds, self.chance())

    def failed(self, exchange: Exchange, deployment: Deployment, error_type: str, wait: float | None = None) -> None:
        """An attempt failed. wait: seconds that the provider asked for."""
        callers_key = self.is_callers_key(deployment)
        breaker = deployment.breaker
        if breaker is not None:
            if error_type not in AGAINST or (callers_key and error_type == ErrorType.PROVIDER_AUTHENTICATION):
                self._answered(exchange, breaker, error_type)
            else:
                breaker.failed(exchange, error_type, self.clock())
                deployment.troubled = deployment.troubled or breaker.state != "closed"
        if callers_key:
            return
        if wait is None and error_type == ErrorType.PROVIDER_RATE_LIMIT:
            wait = self.settings.cooldown_seconds
        if wait:
            seconds = min(wait, self.settings.longest_cooldown_seconds)
            deployment.cool_down(self.clock() + seconds)
            if breaker is not None:
                self.tally.cool_down(provider=deployment.provider.name, model=deployment.label, seconds=seconds)

    def conclude(self, exchange: Exchange) -> None:
        """A request has ended: what that says of the deployment whose reply was passed on, if one was."""
        deployment, trail = exchange.deployment, exchange.trail
        if deployment is None or (breaker := deployment.breaker) is None or (trail is not None and trail.noted):
            return
        if exchange.error_type:
            if exchange.upstream_status:
                self.failed(exchange, deployment, exchange.error_type)
        elif breaker.failures or breaker.trial is not None:
            if exchange.upstream_status and exchange.outcome == "completed":
                breaker.succeeded(exchange)
            else:
                breaker.released(exchange)

    @staticmethod
    def _answered(exchange: Exchange, breaker: Breaker, error_type: str) -> None:
        """The provider did its part, or said to slow down, or the fault is the gateway's."""
        if error_type.startswith(("caller_", "policy_")):
            breaker.succeeded(exchange)
        else:
            breaker.released(exchange)

    def tell(self, exchange: Exchange, attempts: int) -> None:
        """Say in the headers of the answer whose it is."""
        deployment = exchange.deployment
        if self.settings.headers and deployment is not None:
            exchange.more_headers = (
                *exchange.more_headers,
                *deployment.told,
                (b"x-tallygate-attempts", b"%d" % attempts),
            )
