"""Money between people, who write USD, and the accounts, which count units of 10^-11 USD."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from tallygate.facts import USD
from tallygate.gateway.accounts.problems import Invalid
from tallygate.pricing import UNITS_PER_USD

MOST_UNITS: Final = 10**18
"""Ten million USD: the most that one amount can be, so that sums fit the database."""


def units_of(usd: Decimal | int | str, field: str) -> int:
    """An amount of USD in units. Raises Invalid, naming the field, for what is no amount."""
    try:
        amount = Decimal(usd.strip() if isinstance(usd, str) else usd)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite():
        raise Invalid(field, usd, "is no amount", "write USD with a decimal point, as in 12.50")
    # Bounded before it is scaled: the exponent may be anything.
    if amount and amount.adjusted() > 7:
        raise Invalid(field, usd, "is too much", f"use at most {MOST_UNITS // UNITS_PER_USD} USD at once")
    units = amount.scaleb(-USD)
    if units != units.to_integral_value():
        raise Invalid(field, usd, "is too fine", f"use at most {-USD} digits after the point")
    return int(units)


def usd_of(units: int) -> str:
    """Units as USD, exactly, with at least two digits after the point."""
    sign, units = "-" if units < 0 else "", abs(units)
    whole, rest = divmod(units, UNITS_PER_USD)
    return f"{sign}{whole}.{f'{rest:0{-USD}d}'.rstrip('0').ljust(2, '0')}"
