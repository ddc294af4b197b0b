"""The tally of a gateway: its labels, prices, known models and zeros, from the settings."""

import os

from tallygate.catalogue import provider_id
from tallygate.gateway.routes import LLM_ROUTES
from tallygate.gateway.settings import Settings
from tallygate.gateway.trace_context import caller_span
from tallygate.record.binding import Exemplifier
from tallygate.tally import Tally


def open_tally(
    settings: Settings, path: str | os.PathLike[str] | None = None, exemplar: Exemplifier = caller_span
) -> Tally:
    """Open the tally of this gateway; ``path`` is the ledger's file when several processes share it.

    ``exemplar`` tells the sampled span that is current, as ``Tally`` takes it; by default the caller's.
    Every configured model shows its series at 0 before the first call, so that no panel says "No data".
    """
    tally = Tally(
        enabled=settings.metrics.enabled,
        dialects=settings.metrics.dialects,
        custom_labels=settings.metrics.labels,
        identities=settings.metrics.identities,
        path=path,
        price_overrides=settings.price_overrides,
        catalogue_providers={
            name: known
            for name, provider in settings.providers.items()
            if (known := provider_id(name, kind=provider.kind, url=provider.base_url)) is not None
        },
        service=settings.service,
        environment=settings.environment,
        deployment_version=settings.deployment_version,
        exemplar=exemplar,
    )
    if tally.enabled:
        # Now, and not at the first call that has a price.
        tally.prices.load()
    for name, provider in settings.providers.items():
        models = sorted(_served(settings, name))
        for model in models or [""]:
            tally.provider_info(provider=name, kind=provider.kind, model=model)
        for model in models:
            for route in LLM_ROUTES:
                if route.wire is not None and route.kind == {"azure": "openai"}.get(provider.kind, provider.kind):
                    for stream in route.streams:
                        tally.seed_llm(
                            provider=name,
                            model=model,
                            operation=route.wire.operation,
                            endpoint=route.endpoint,
                            stream=stream,
                        )
    return tally


def _served(settings: Settings, provider: str) -> set[str]:
    """The models that are configured to be served by a provider, by the names it knows them by."""
    listed = settings.providers[provider].models
    called = {name: model.name for model in listed for name in (model.name, *model.aliases)}
    routed = {
        place.model or name
        for name, model in settings.models.items()
        for place in model.deployments
        if place.provider == provider
    }
    return {model.name for model in listed} | {called.get(model, model) for model in routed}
