"""The gate that the settings ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tallygate.gateway.admission.limits import Limits

if TYPE_CHECKING:
    from tallygate.gateway.database import Database
    from tallygate.gateway.settings import Settings
    from tallygate.gateway.state.interface import SpentSource, Store
    from tallygate.gateway.usage.ledger import Ledger
    from tallygate.tally import Tally


def open_gate(settings: Settings, tally: Tally, database: Database | None, usage: Ledger | None) -> Limits | None:
    """None when nothing can be limited: there are no accounts, and no rates of models or providers."""
    rates, shared = settings.rates, settings.shared
    if not settings.accounts.enabled and not rates.models and not rates.providers:
        return None

    def open_store() -> Store:
        spent: SpentSource | None = None
        if database is not None and usage is not None:
            from tallygate.gateway.usage.spending import Spending

            spent = Spending(database, usage.spool)
        if shared.url is not None:
            from tallygate.gateway.state.remote import RemoteStore

            return RemoteStore(shared.url.get_secret_value(), shared.timeout_seconds, spent)
        from tallygate.gateway.state.environment import Environment
        from tallygate.gateway.state.local import LocalStore

        return LocalStore(Environment(shared.state_directory), spent)

    return Limits(rates, tally, open_store, closed=shared.when_away == "closed", accounts=settings.accounts.enabled)
