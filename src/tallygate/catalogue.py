"""The price catalogue, ``genai-prices``: which model a name means, and its rates at a moment.

Importing this module imports the catalogue, about 0.2 s; ``tallygate.pricing`` does so at the first look-up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from decimal import Decimal
from typing import NamedTuple

from genai_prices import data_snapshot
from genai_prices.types import (
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    Provider,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from tallygate.pricing import Rates, Tariff

VENDOR_OF_KIND = {"azure": "azure", "anthropic": "anthropic", "gemini": "google"}
"""Wire families that one vendor alone speaks. OpenAI's is everybody's and says nothing."""


class Known(NamedTuple):
    """A model the catalogue knows."""

    canonical: str
    tariff: Callable[[], Tariff | None]
    """The rates now; None where the model is not sold by the token or the request."""


def provider_id(name: str, *, kind: str = "", url: str = "") -> str | None:
    """The catalogue's id of a configured provider: by its URL, else its name, else what only it speaks."""
    providers = data_snapshot.get_snapshot().providers
    for provider in providers:
        if url and re.match(provider.api_pattern, url):
            return provider.id
    named = data_snapshot.find_provider_by_id(providers, name)
    return named.id if named is not None else VENDOR_OF_KIND.get(kind)


def find(provider: str, model: str) -> Known | None:
    """The model that ``model`` means at ``provider``: the catalogue's own id first, then its rules for names."""
    # The catalogue's public look-up remembers every name it is asked for, for ever; this way nothing is kept.
    providers = data_snapshot.get_snapshot().providers
    found = data_snapshot.find_provider_by_id(providers, provider) if provider else None
    if found is None or not model:
        return None
    sellers = [found]
    for other in found.fallback_model_providers or ():
        sellers += [candidate for candidate in providers if candidate.id == other]
    info = _named(sellers, model) or found.find_model(model, all_providers=providers)
    if info is None:
        return None
    return Known(info.id, lambda: tariff_at(info, datetime.now(tz=UTC)))


def _named(sellers: Iterable[Provider], model: str) -> ModelInfo | None:
    name = model.lower()
    return next((info for seller in sellers for info in seller.models if info.id.lower() == name), None)


def tariff_at(info: ModelInfo, moment: datetime) -> Tariff | None:
    """The rates of a model at a moment, and until when they hold."""
    prices = info.get_prices(moment)
    per_token = (prices.input_mtok, prices.output_mtok)
    fee = _at(prices.requests_kcount, 0)
    if per_token == (None, None) and fee is None:
        return None
    tiered = (*per_token, prices.cache_read_mtok, prices.cache_write_mtok, prices.output_reasoning_mtok)
    starts = {tier.start for price in tiered if isinstance(price, TieredPrices) for tier in price.tiers}
    request = (fee or Decimal(0)) / 1000
    steps = [(above, _rates(prices, max(above + 1, 0), request)) for above in (-1, *sorted(starts))]
    changes = [] if isinstance(info.prices, ModelPrice) else list(_changes(info.prices, moment))
    return Tariff(tuple(steps), min((change.timestamp() for change in changes), default=math.inf))


def _rates(prices: ModelPrice, tokens: int, request: Decimal) -> Rates:
    """The rates for a prompt of this many tokens."""
    zero = Decimal(0)
    return Rates(
        input=_at(prices.input_mtok, tokens) or zero,
        output=_at(prices.output_mtok, tokens) or zero,
        cache_read=_at(prices.cache_read_mtok, tokens),
        cache_write=_at(prices.cache_write_mtok, tokens),
        reasoning=_at(prices.output_reasoning_mtok, tokens),
        request=request,
    )


def _at(price: Decimal | TieredPrices | None, tokens: int) -> Decimal | None:
    if not isinstance(price, TieredPrices):
        return price
    applicable = price.base
    for tier in price.tiers:
        if tokens > tier.start:
            applicable = tier.price
    return applicable


def _changes(prices: Iterable[ConditionalPrice], moment: datetime) -> Iterable[datetime]:
    """The next moment at which each condition may begin or cease to hold."""
    for price in prices:
        match price.constraint:
            case StartDateConstraint(start_date=start):
                change = datetime.combine(start, time_of_day(tzinfo=UTC))
                if change > moment:
                    yield change
            case TimeOfDateConstraint(start_time=start_time, end_time=end_time):
                for clock in (start_time, end_time):
                    aware = clock if clock.tzinfo is not None else clock.replace(tzinfo=UTC)
                    change = datetime.combine(moment.astimezone(aware.tzinfo).date(), aware)
                    yield change if change > moment else change + timedelta(days=1)
