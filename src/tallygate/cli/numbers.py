"""Numbers for people: as short as they may be, and a dash for what is not known."""

from __future__ import annotations

import math

from tallygate.scraping.figures import Percentiles

UNKNOWN = "-"
_STEPS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def count(number: float | None) -> str:
    """Three digits and a power of a thousand: 0.25, 12.4, 1.24k."""
    if number is None or not math.isfinite(number):
        return UNKNOWN
    for size, letter in _STEPS:
        if abs(number) >= size * 0.9995:
            return f"{_digits(number / size)}{letter}"
    return _digits(number)


def _digits(number: float) -> str:
    if number == int(number) and abs(number) < 1000:
        return str(int(number))
    places = 0 if abs(number) >= 99.95 else 1 if abs(number) >= 9.995 else 2
    if 0 < abs(number) < 0.005:
        return "<0.01"
    return f"{number:.{places}f}"


def usd(number: float | None) -> str:
    """Dollars, with their cents, and more where there are less."""
    if number is None or not math.isfinite(number):
        return UNKNOWN
    if abs(number) >= 10_000:
        return f"${count(number)}"
    return f"${number:.2f}" if number == 0 or abs(number) >= 0.995 else f"${number:.4f}"


def seconds(number: float | None, top: float = math.inf) -> str:
    """A time: 881 us, 12.3 ms, 1.23 s, 12 min; above the last bound of a histogram: >600 s."""
    if number is None:
        return UNKNOWN
    if math.isinf(number):
        return f">{seconds(top)}" if math.isfinite(top) else UNKNOWN
    if 0 < number < 0.0009995:
        return f"{number * 1e6:.0f} us"
    if 0 < number < 0.9995:
        return f"{_digits(number * 1e3)} ms"
    return f"{_digits(number)} s" if number < 600 else f"{_digits(number / 60)} min"


def speed(number: float | None, top: float = math.inf) -> str:
    """A number per second, or above the last bound."""
    if number is not None and math.isinf(number):
        return f">{count(top)}" if math.isfinite(top) else UNKNOWN
    return count(number)


def percent(ratio: float | None) -> str:
    return UNKNOWN if ratio is None else f"{ratio * 100:.1f} %"


def at(percentiles: Percentiles | None, share: str) -> tuple[float | None, float]:
    """One of the percentiles, and the last bound."""
    return (None, math.inf) if percentiles is None else (getattr(percentiles, share), percentiles.top)
