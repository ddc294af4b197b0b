"""Dimension values and numbers as the ledger keeps them: the pure-Python twin of the core's conversions."""

import re
from typing import Final

from tallygate.ledger.schema import Kind, MeasureSchema

VALUE_LIMIT: Final = 256
"""Bytes of UTF-8 that a dimension value keeps; the rest is cut off at a character's end."""
OBSERVATION_LIMIT: Final = 1 << 56
"""The biggest observation of a sum or distribution, in cell units."""
CELL_LIMIT: Final = 1 << 62
"""Where a cell stops growing."""
INT64_MAX: Final = (1 << 63) - 1

_SURROGATES = re.compile("[\ud800-\udfff]")


def canonical(value: str) -> str:
    """``value`` as a row keeps it: valid Unicode (lone surrogates become U+FFFD) of at most 256 bytes of UTF-8."""
    if len(value) * 4 <= VALUE_LIMIT and value.isascii():
        return value if type(value) is str else str.__str__(value)
    encoded = _SURROGATES.sub("\ufffd", value).encode()
    return encoded[:VALUE_LIMIT].decode(errors="ignore")


def units_of(measure: MeasureSchema, value: object) -> int | None:
    """``value`` in units of the measure's cells, rounded half to even; None when the ledger does not take it."""
    exponent = measure.exponent
    if isinstance(value, float):
        scaled = value * (10**-exponent if exponent <= 0 else 1 / 10**exponent)
        if not -9.2e18 < scaled < 9.2e18:
            return None
        units = round(scaled)
    elif isinstance(value, int):
        if not -INT64_MAX <= value <= INT64_MAX:
            return None
        if exponent <= 0:
            units = value * 10**-exponent
        else:
            units, rest = divmod(value, 10**exponent)
            half = 10**exponent // 2
            units += rest > half or (rest == half and units % 2)
    else:
        return None
    if measure.kind is Kind.GAUGE:
        return units if -INT64_MAX <= units <= INT64_MAX else None
    return units if value >= 0 and units <= OBSERVATION_LIMIT else None


def units_of_nanoseconds(measure: MeasureSchema, nanoseconds: int) -> int | None:
    """A measured time in units of the measure's cells, rounded half up; None when the ledger does not take it."""
    power = -9 - measure.exponent
    units = nanoseconds * 10**power if power >= 0 else (nanoseconds + 10**-power // 2) // 10**-power
    return units if units <= OBSERVATION_LIMIT else None
