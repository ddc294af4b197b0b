"""The live page of a gateway, put together from its settings."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from tallygate.facts import LLMCall
from tallygate.gateway.page.app import Page
from tallygate.gateway.page.counted import Counted
from tallygate.gateway.page.figures import STEPS, Figures
from tallygate.gateway.page.session import Sessions
from tallygate.gateway.page.source import Source, blank
from tallygate.tally import Tally, package_version

if TYPE_CHECKING:
    from tallygate.gateway.database import Database
    from tallygate.gateway.settings import Settings

OFF = "metrics.enabled is off: nothing is counted, so there is nothing to show"


def open_page(settings: Settings, tally: Tally, database: Database | None = None) -> Page:
    """The live page. database: of accounts, where there are any."""
    configured = settings.dashboard
    sessions = _sessions(settings)
    about = partial(
        _about,
        started=time.time(),
        version=package_version(),
        tick=configured.refresh_seconds,
        open=sessions is None,
        keys_told="api_key_id" in settings.metrics.identities,
    )
    source = _source(settings, tally, about)
    # A hash of an id leads to no name.
    if database is not None and settings.metrics.identities.get("api_key_id", "hashed") != "hashed":
        from tallygate.gateway.page.key_names import WithKeyNames

        source = WithKeyNames(source, database)
    return Page(
        source,
        sessions,
        tally,
        configured.path,
        tick=configured.refresh_seconds,
        viewers=configured.viewers,
        form_seconds=settings.limits.body_seconds,
    )


def _source(settings: Settings, tally: Tally, about: Callable[..., Figures]) -> Source:
    providers = list(settings.providers)
    if not tally.enabled:
        return Nothing(partial(about, source="history", problem=OFF))
    if settings.dashboard.prometheus_url is not None:
        from tallygate.gateway.page.prometheus import FromPrometheus

        custom = tally.tables[LLMCall].schema.dimensions[len(LLMCall.dimensions) :]
        file = settings.upstream.ca_file
        about = partial(about, source="prometheus")
        return FromPrometheus(settings.dashboard, providers, custom, about, None if file is None else str(file))
    return Counted(tally, providers, partial(about, source="history"))


def _sessions(settings: Settings) -> Sessions | None:
    """Who may look: whoever has a key of the gateway's owner; everybody where the API is open and nothing is secret."""
    accounts = settings.accounts
    keys = [settings.server.master_key, accounts.admin_key if accounts.enabled else None]
    if not any(keys):
        keys = [settings.metrics.secret]
    known = [key.get_secret_value() for key in keys if key is not None]
    if not known and not accounts.enabled:
        return None
    return Sessions(known, settings.dashboard.session_seconds, settings.dashboard.path)


def _about(range: str, problem: str = "", **rest: Any) -> Figures:
    """Figures with what follows from the range."""
    return Figures(range=range, step=STEPS[range], problem=problem, **rest)


class Nothing:
    """The figures of a gateway that counts nothing."""

    def __init__(self, about: Callable[..., Figures]) -> None:
        self._about = about

    async def start(self) -> None:
        """There is nothing to begin."""

    async def close(self) -> None:
        """There is nothing to end."""

    async def look(self) -> None:
        """There is nothing to see."""

    async def figures(self, range: str) -> Figures:
        return self._about(**blank(range, time.time()))
