"""The response cache of a gateway, from its settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallygate.facts import StoreFailure
from tallygate.gateway.cache.memory import MemoryStore
from tallygate.gateway.cache.responses import Responses

if TYPE_CHECKING:
    from tallygate.gateway.cache.interface import Store
    from tallygate.gateway.settings import Settings
    from tallygate.tally import Tally

STORE = "response_cache"
"""As StoreFailure.store."""


def open_cache(settings: Settings, tally: Tally) -> Responses | None:
    """The cache; None where nothing can ask for it."""
    cache = settings.cache
    if not (cache.routes or cache.by_header or settings.accounts.enabled):
        return None
    store: Store
    if cache.store == "shared":
        # Imported where it is used: most gateways do without.
        from tallygate.gateway.cache.shared import SharedStore
        from tallygate.gateway.state.redis import Redis

        # Checked with the settings.
        assert settings.shared.url is not None

        def failed(operation: str) -> None:
            tally.record_store_failure(STORE, operation=operation)

        if tally.enabled:
            for operation in ("store", "read"):
                tally.row(StoreFailure, STORE, "", operation)  # a 0 to be seen before the first one

        # A connection of its own: large answers shall not hold up what limits ask.
        redis = Redis(settings.shared.url.get_secret_value(), settings.shared.timeout_seconds, "response cache")
        store = SharedStore(redis, cache.capacity, cache.time_to_live_seconds, cache.time_to_idle_seconds, failed)
    else:
        # Without accounts there is nobody who could have all forgotten, and no need for the directory.
        directory = settings.shared.state_directory if settings.accounts.enabled else None
        store = MemoryStore(cache.capacity, cache.time_to_live_seconds, cache.time_to_idle_seconds, directory=directory)
    return Responses(cache, store, tally, settings.dimensions.get("route"))
