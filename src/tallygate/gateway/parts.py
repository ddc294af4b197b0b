"""What a running gateway is made of, put together once from its settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tallygate.gateway.access import Access
from tallygate.gateway.dimensions import HeaderDimensions
from tallygate.gateway.phases import Phases
from tallygate.gateway.providers import Provider
from tallygate.gateway.routing import Deployment, Router
from tallygate.gateway.settings import LimitSettings, Settings
from tallygate.gateway.upstream import Timeouts, Upstream, open_upstream
from tallygate.tally import Tally
from tallygate.wire.decoding import READABLE

if TYPE_CHECKING:
    from tallygate.gateway.exchange import Exchange
    from tallygate.record import LLMCallTracker


@dataclass(slots=True)
class Parts:
    """The rooms a request passes through."""

    tally: Tally
    access: Access
    router: Router
    phases: Phases
    dimensions: HeaderDimensions
    upstream: Upstream
    timeouts: Timeouts
    limits: LimitSettings
    forwards_credentials: bool
    """Whether a caller's own key goes on to a provider for which the gateway has none; not beside a master key."""

    def track_llm_call(self, exchange: Exchange, deployment: Deployment) -> LLMCallTracker:
        """Start the call's clock and count it as in flight."""
        route = exchange.route
        assert route.wire is not None
        return self.tally.track_llm_call(
            provider=deployment.provider.name,
            model=deployment.label,
            operation=route.wire.operation,
            endpoint=route.endpoint,
            stream=exchange.stream,
            **self.dimensions.read(exchange.headers),
        ).start()

    def accept_encoding(self, accepted: bytes | None) -> bytes:
        """Which codings to offer the provider: those the client takes and the meters can read."""
        if not accepted:
            return b"identity"
        offered = [coding.strip() for coding in accepted.decode("latin-1").lower().split(",")]
        return ", ".join(coding for coding in offered if coding.partition(";")[0] in READABLE).encode() or b"identity"


def put_together(settings: Settings, tally: Tally) -> Parts:
    """The parts of a gateway; connections open later, on the first request."""
    providers = [Provider(name, provider) for name, provider in settings.providers.items()]
    limits = settings.limits
    master_key, secret = settings.server.master_key, settings.metrics.secret

    def canonical_model(provider: Provider, model: str) -> str | None:
        return tally.canonical_model(provider.name, model)

    upstream = open_upstream()
    if any(provider.base_url.startswith("https:") for provider in settings.providers.values()):
        upstream.prepare_tls()
    return Parts(
        tally=tally,
        access=Access(
            master_key.get_secret_value() if master_key else None,
            secret.get_secret_value() if secret else None,
        ),
        router=Router(providers, settings.aliases, canonical_model),
        phases=Phases(tally),
        dimensions=HeaderDimensions(settings.dimensions),
        upstream=upstream,
        timeouts=Timeouts(
            connect=limits.upstream_connect_seconds,
            first_byte=limits.upstream_first_byte_seconds,
            idle=limits.stream_idle_seconds,
            total=limits.upstream_total_seconds,
        ),
        limits=limits,
        forwards_credentials=master_key is None,
    )
