"""What of failover runs beside the requests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tallygate.facts import Connections
from tallygate.gateway.failover.health import HealthWatch
from tallygate.gateway.failover.probes import Probes

if TYPE_CHECKING:
    from tallygate.gateway.providers import Provider
    from tallygate.gateway.routing import Router
    from tallygate.gateway.service import Service
    from tallygate.gateway.settings.failover import FailoverSettings
    from tallygate.gateway.upstream import Upstream
    from tallygate.tally import Tally


def open_watch(
    settings: FailoverSettings, tally: Tally, providers: Sequence[Provider], router: Router, upstream: Upstream
) -> list[Service]:
    """What watches over the health of providers; it starts with the other services."""
    services: list[Service] = []
    if tally.enabled:
        services.append(HealthWatch(tally, providers, settings.health_seconds, settings.breaker_failures))
    if settings.probes:
        every, timeout = settings.probe_seconds, settings.probe_timeout_seconds
        services.append(Probes(upstream, providers, router.deployments, every, timeout))
    return services


def connection_counter(tally: Tally) -> Callable[[int], None]:
    """Takes note of connections to providers that open (1) and close (-1) in this worker."""
    if not tally.enabled:
        return lambda change: None
    move = tally.tables[Connections].row("provider").add

    def count(change: int) -> None:
        move(0, change)

    count(0)
    return count
