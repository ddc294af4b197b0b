"""How long to wait: what a provider asks for, and a pause of our own that grows and is never the same twice."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Final

LONGEST: Final = 365 * 86400.0
"""Seconds: more is not believed."""

_NUMBER: Final = re.compile(r"\d{1,15}(\.\d{0,9})?\Z", re.ASCII)
_DURATION: Final = re.compile(
    r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?\Z",
    re.ASCII,
)
_UNITS: Final = (86400.0, 3600.0, 60.0, 1.0, 0.001)


def requested_wait(headers: Mapping[bytes, bytes], wall_clock: float) -> float | None:
    """Seconds that a provider asks to wait by the headers of its answer; None when it does not say so readably.

    ``retry-after-ms``, else ``retry-after`` (seconds or a date, read against ``wall_clock``, Unix time), else the reset
    of the OpenAI limit that is used up (``x-ratelimit-remaining-*: 0``). Never negative, never more than a year.
    """
    milliseconds = _number(headers.get(b"retry-after-ms", b""))
    if milliseconds is not None:
        return min(milliseconds / 1000, LONGEST)
    value = headers.get(b"retry-after", b"")
    seconds = _number(value)
    if seconds is None and value:
        seconds = _until(value, wall_clock)
    if seconds is None:
        seconds = _reset(headers)
    return None if seconds is None else min(seconds, LONGEST)


def _number(value: bytes) -> float | None:
    text = value.decode("latin-1").strip()
    return float(text) if _NUMBER.match(text) else None


def _until(value: bytes, wall_clock: float) -> float | None:
    """Seconds until an HTTP date; 0 when it is past."""
    try:
        moment = parsedate_to_datetime(value.decode("latin-1"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = moment.timestamp() - wall_clock
    except (ValueError, OverflowError, IndexError, TypeError):
        return None
    return max(0.0, seconds) if isfinite(seconds) else None


def _reset(headers: Mapping[bytes, bytes]) -> float | None:
    """When the limits that have nothing left begin anew, in OpenAI's words: ``1s``, ``6m0s``, ``20ms``."""
    waits = []
    for limit in (b"requests", b"tokens"):
        if headers.get(b"x-ratelimit-remaining-" + limit, b"").strip() == b"0":
            text = headers.get(b"x-ratelimit-reset-" + limit, b"").decode("latin-1").strip()
            match = _DURATION.match(text)
            if text and match is not None:
                parts = zip(match.groups(), _UNITS, strict=True)
                waits.append(sum(float(number) * unit for number, unit in parts if number))
    return max(waits, default=None)


def pause(retry: int, base: float, longest: float, chance: float) -> float:
    """Seconds before the nth retry (from 1 on): ``base`` doubled each time, at most ``longest``, less up to a half.

    ``chance``: a random number from 0 to 1.
    """
    full = min(base * 2.0 ** min(retry - 1, 60), longest)
    return full * (1 - chance / 2)


def not_before(wait: float, chance: float) -> float:
    """What a provider asked for, and up to a tenth more, so that not all come back at once."""
    return wait * (1 + chance / 10)
