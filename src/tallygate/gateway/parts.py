"""What a running gateway is made of, put together once from its settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tallygate.gateway.access import Access
from tallygate.gateway.accounts.interface import Accounts
from tallygate.gateway.admission import Gate
from tallygate.gateway.admission.opening import open_gate
from tallygate.gateway.cache.interface import ResponseCache
from tallygate.gateway.cache.opening import open_cache
from tallygate.gateway.dimensions import HeaderDimensions
from tallygate.gateway.failover.opening import connection_counter, open_watch
from tallygate.gateway.failover.policy import Failover
from tallygate.gateway.providers import Provider
from tallygate.gateway.recording import Recording
from tallygate.gateway.routing import Router
from tallygate.gateway.service import Service
from tallygate.gateway.settings import LimitSettings, Settings
from tallygate.gateway.upstream import Timeouts, Upstream, open_upstream
from tallygate.gateway.usage.interface import UsageLedger
from tallygate.tally import Tally
from tallygate.wire.decoding import READABLE

if TYPE_CHECKING:
    from tallygate.gateway.database import Database


@dataclass(slots=True)
class Parts:
    """The rooms a request passes through."""

    tally: Tally
    access: Access
    router: Router
    recording: Recording
    upstream: Upstream
    failover: Failover
    limits: LimitSettings
    forwards_credentials: bool
    """Whether a caller's own key goes on to a provider for which the gateway has none; not beside a master key."""
    database: Database | None = None
    """Of accounts and usage; None without accounts."""
    accounts: Accounts | None = None
    """Who may call, by the keys that the gateway gave out; None: the master key decides alone."""
    gate: Gate | None = None
    """Limits, credits and budgets; None: nothing is limited."""
    usage: UsageLedger | None = None
    """Where each call's usage is written; None without accounts."""
    cache: ResponseCache | None = None
    """Answers kept for the same request again; None: nothing asks for it."""
    services: list[Service] = field(default_factory=list)
    """What is started before the first request and closed, in reverse, after the last."""

    async def start(self) -> None:
        """Start the services. Raises what one of them raises; those before it are closed again."""
        for index, service in enumerate(self.services):
            try:
                await service.start()
            except BaseException:
                for started in reversed(self.services[:index]):
                    await started.close()
                raise

    async def close(self) -> None:
        """Close the services and the connections to providers."""
        for service in reversed(self.services):
            await service.close()
        await self.upstream.close()

    def accept_encoding(self, accepted: bytes | None) -> bytes:
        """Which codings to offer the provider: those the client takes and the meters can read."""
        if not accepted:
            return b"identity"
        offered = [coding.strip() for coding in accepted.decode("latin-1").lower().split(",")]
        return ", ".join(coding for coding in offered if coding.partition(";")[0] in READABLE).encode() or b"identity"


def put_together(settings: Settings, tally: Tally) -> Parts:
    """The parts of a gateway; connections open later, on the first request."""
    limits = settings.limits
    timeouts = Timeouts(
        connect=limits.upstream_connect_seconds,
        first_byte=limits.upstream_first_byte_seconds,
        idle=limits.stream_idle_seconds,
        total=limits.upstream_total_seconds,
    )
    providers = [Provider(name, provider, timeouts) for name, provider in settings.providers.items()]
    master_key, secret = settings.server.master_key, settings.metrics.secret
    forwards_credentials = master_key is None and not settings.accounts.enabled

    def canonical_model(provider: Provider, model: str) -> str | None:
        return tally.canonical_model(provider.name, model)

    failover = Failover(settings.failover, tally, forwards_credentials=forwards_credentials)
    router = Router(providers, settings.aliases, canonical_model, settings.models, failover.make_breaker)
    failover.seed(router.deployments, router.targets)
    services: list[Service] = []
    admin_key = settings.accounts.admin_key if settings.accounts.enabled else None
    access = Access(
        *[key.get_secret_value() if key else None for key in (master_key, secret, admin_key)],
        # Where callers need keys of their own, the metrics on their port are not for everybody.
        closed=settings.accounts.enabled and settings.metrics.listener is None,
    )
    database = directory = usage = None
    if settings.accounts.enabled:
        # Imported where they are used: a gateway without accounts does without a database's modules.
        from tallygate.gateway.accounts.directory import Directory
        from tallygate.gateway.accounts.observing import Observer
        from tallygate.gateway.database import Database
        from tallygate.gateway.usage.ledger import Ledger

        database = Database(
            settings.accounts.url.get_secret_value(), connections=settings.accounts.database_connections, tally=tally
        )
        state_directory = settings.shared.state_directory
        directory = Directory(database, access, settings.accounts, state_directory, tally)
        services += [database, directory, Observer(database, state_directory, tally)]
        usage = Ledger(state_directory, database, settings.usage, tally)
        services.append(usage)
    gate = open_gate(settings, tally, database, usage)
    if gate is not None:
        services.append(gate)
    authorities = settings.upstream.ca_file
    upstream = open_upstream(
        ca_file=str(authorities) if authorities is not None else None, count=connection_counter(tally)
    )
    if any(provider.base_url.startswith("https:") for provider in settings.providers.values()):
        upstream.prepare_tls()
    services += open_watch(settings.failover, tally, providers, router, upstream)
    cache = open_cache(settings, tally)
    if cache is not None:
        services.append(cache)
    return Parts(
        tally=tally,
        access=access,
        router=router,
        recording=Recording(tally, HeaderDimensions(settings.dimensions) if settings.dimensions else None),
        upstream=upstream,
        failover=failover,
        limits=limits,
        forwards_credentials=forwards_credentials,
        database=database,
        gate=gate,
        accounts=directory,
        usage=usage,
        cache=cache,
        services=services,
    )
