"""How a metric family looks on a page, worked out once when it is made: its head, its names, its bucket labels.

Both renderers, the compiled one and its twin in Python, start from here and only put numbers in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Final, NamedTuple, TypedDict

from tallygate.exposition.escape import help_text

SCALAR: Final = 0
"""One line per series."""
HISTOGRAM: Final = 1
"""A line per bucket, ``_sum`` and ``_count``."""
SUMMARY: Final = 2
"""A line per quantile, ``_sum`` and ``_count``."""

FORMATS: Final = ("text", "openmetrics")
"""What ``render`` writes. ``text`` is the body of the text formats 0.0.4 and 1.0.0, which is the same."""

COMBINES: Final = ("sum", "max", "min")
EXPONENT_LIMIT: Final = 64
BUCKET_LIMIT: Final = 1 << 12
BILLION: Final = 10**9
"""Parts that quantiles are counted in."""
METRIC_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*\Z")

TEXT_TYPES: Final = {
    "counter": "counter",
    "gauge": "gauge",
    "histogram": "histogram",
    "summary": "summary",
    "info": "gauge",
    "stateset": "gauge",
    "unknown": "untyped",
}
"""The types of the text formats, which know neither info nor stateset."""


class Options(TypedDict, total=False):
    """The keyword arguments of a family."""

    exponent: int
    """Cells count units of 10**exponent."""
    factor: float | None
    """What the value is also multiplied with, as a double, where that is no power of ten."""
    le: Sequence[str] | None
    """Finite upper bounds of buckets, ascending decimals: "0.1", "1", "2.5". Of a summary, those of its quantiles."""
    le_as_written: bool
    """Print the bounds in OpenMetrics too as they are in ``le``, "4", and not as a double, "4.0"."""
    bucket_map: Sequence[int] | None
    """For each bucket of the ledger, which of the family's buckets (the last is +Inf) it lies in."""
    quantiles: Sequence[str] | None
    """What a summary shows besides sum and count, between 0 and 1: "0.5", "0.99"."""
    combine: str
    """How several sources of one series combine: sum, max or min."""
    scale: int
    """The family's unit is 10**-scale of the base unit: 3 for milliseconds. Exemplars come in base units."""


class Layout(NamedTuple):
    """The fixed parts of a family in one format."""

    head: bytes
    """Lines of metadata."""
    name: bytes
    """Name of the samples, without the suffixes of a histogram."""
    buckets: tuple[bytes, ...]
    """``le="0.1"} `` for each bucket, +Inf included."""


class Prepared(NamedTuple):
    """A family ready for numbers."""

    text: Layout
    openmetrics: Layout
    shape: int
    exponent: int
    factor: float | None
    scale: int
    bounds: tuple[float, ...]
    bucket_map: tuple[int, ...]
    combine: int
    exemplars: bool
    step: float
    """10**abs(exponent)."""
    scale_step: float
    """10**abs(scale)."""
    quantiles: tuple[tuple[bytes, int], ...]
    """``quantile="0.5"} `` and how many parts of a billion it is, for each quantile."""
    middles: tuple[bytes, ...]
    """What a quantile that lies in a bucket is said to be, for each bucket of a summary with quantiles."""


def prepare(
    name: str,
    type: str,
    help: str,
    unit: str,
    *,
    exponent: int = 0,
    factor: float | None = None,
    le: Sequence[str] | None = None,
    le_as_written: bool = False,
    bucket_map: Sequence[int] | None = None,
    quantiles: Sequence[str] | None = None,
    combine: str = "sum",
    scale: int = 0,
) -> Prepared:
    """Check a family and work out its fixed parts. ValueError says what is wrong with it."""
    if not METRIC_NAME.match(name):
        raise ValueError(f"{name!r} is not a metric name")
    if type not in TEXT_TYPES:
        raise ValueError(f"family {name!r}: type {type!r} is none of {', '.join(TEXT_TYPES)}")
    if combine not in COMBINES:
        raise ValueError(f"family {name!r}: combine={combine!r} is none of {', '.join(COMBINES)}")
    if abs(exponent) > EXPONENT_LIMIT or abs(scale) > EXPONENT_LIMIT:
        raise ValueError(f"family {name!r}: an exponent is beyond {EXPONENT_LIMIT}")
    shape = {"histogram": HISTOGRAM, "summary": SUMMARY}.get(type, SCALAR)
    les = tuple(le or ())
    shares = _quantiles(name, shape, quantiles or ())
    buckets = _bucket_map(name, shape, les, bucket_map, bool(shares))
    bounds = _bounds(name, les)
    counts = type == "counter" and name.endswith("_total")
    return Prepared(
        Layout(
            _head(name, TEXT_TYPES[type], help_text(help)),
            name.encode(),
            tuple(_bucket(text) for text in (*les, "+Inf")),
        ),
        Layout(
            _openmetrics_head(name, type, help, unit),
            name.encode(),
            tuple(_bucket(text) for text in (*(les if le_as_written else map(canonical, bounds)), "+Inf")),
        ),
        shape,
        exponent,
        factor,
        scale,
        bounds,
        buckets,
        COMBINES.index(combine),
        counts or shape == HISTOGRAM,
        float(10 ** abs(exponent)),
        float(10 ** abs(scale)),
        shares,
        _middles(les) if shares else (),
    )


def canonical(number: float) -> str:
    """A bucket bound as OpenMetrics wants it and as Prometheus stores it: 1.0, 0.25, 1.048576e+06."""
    text = repr(number)
    digits, _, exponent = text.partition("e")
    if exponent:
        return f"{digits}e{exponent}"
    whole, _, fraction = digits.removeprefix("-").partition(".")
    if len(whole) <= 6:
        return text
    mantissa = f"{whole[0]}.{whole[1:]}{fraction if fraction != '0' else ''}".rstrip("0").removesuffix(".")
    return f"{'-' if number < 0 else ''}{mantissa}e+{len(whole) - 1:02d}"


def _head(name: str, type: str, help: str, unit: str = "") -> bytes:
    lines = [f"# HELP {name} {help}"] if help else []
    lines.append(f"# TYPE {name} {type}")
    if unit:
        lines.append(f"# UNIT {name} {unit}")
    return "".join(line + "\n" for line in lines).encode()


def _openmetrics_head(name: str, type: str, help: str, unit: str) -> bytes:
    """Counters and infos are named without their suffix; one that lacks it is of a type that needs none."""
    suffix = {"counter": "_total", "info": "_info"}.get(type, "")
    base = name.removesuffix(suffix)
    if suffix and base in (name, ""):
        base, type = name, "unknown" if type == "counter" else "gauge"
    unit_allowed = type not in ("info", "stateset") and base.endswith(f"_{unit}")
    return _head(base, type, help_text(help, quotes=True), unit if unit_allowed else "")


def _bucket(le: str) -> bytes:
    return f'le="{le}"}} '.encode()


def _quantiles(name: str, shape: int, quantiles: Sequence[str]) -> tuple[tuple[bytes, int], ...]:
    if quantiles and shape != SUMMARY:
        raise ValueError(f"family {name!r}: only summaries have quantiles")
    try:
        parts = [Decimal(quantile) * BILLION for quantile in quantiles]
    except InvalidOperation:
        raise ValueError(f"family {name!r}: a quantile of {tuple(quantiles)} is no number") from None
    if not all(part.is_finite() and 0 <= part <= BILLION and part == int(part) for part in parts):
        raise ValueError(f"family {name!r}: a quantile of {tuple(quantiles)} is none of 0 to 1 in steps of 10^-9")
    return tuple((f'quantile="{text}"}} '.encode(), int(part)) for text, part in zip(quantiles, parts, strict=True))


def _middles(les: tuple[str, ...]) -> tuple[bytes, ...]:
    """The middle of every bucket, where the first begins at 0 and the one without an end is where it begins."""
    bounds = [Decimal(le) for le in les]
    first = bounds[0] / 2 if bounds[0] > 0 else bounds[0]
    middles = [first, *((a + b) / 2 for a, b in pairwise(bounds)), bounds[-1]]
    return tuple(f"{middle.normalize() + 0:f}".encode() for middle in middles)


def _bucket_map(
    name: str, shape: int, les: tuple[str, ...], bucket_map: Sequence[int] | None, has_quantiles: bool
) -> tuple[int, ...]:
    if shape == SCALAR:
        if les or bucket_map:
            raise ValueError(f"family {name!r}: only histograms and summaries have buckets")
        return ()
    if not bucket_map:
        raise ValueError(f"family {name!r}: needs bucket_map, one entry per bucket of the ledger")
    if shape == SUMMARY and bool(les) is not has_quantiles:
        raise ValueError(f"family {name!r}: a summary shows no buckets, and quantiles need them: give both or none")
    if len(bucket_map) > BUCKET_LIMIT:
        raise ValueError(f"family {name!r}: more than {BUCKET_LIMIT} buckets")
    if any(not 0 <= bucket <= len(les) for bucket in bucket_map):
        raise ValueError(f"family {name!r}: bucket_map points beyond its {len(les) + 1} buckets")
    return tuple(bucket_map)


def _bounds(name: str, les: tuple[str, ...]) -> tuple[float, ...]:
    try:
        exact = [Decimal(le) for le in les]
    except InvalidOperation:
        raise ValueError(f"family {name!r}: a bucket bound of {les} is no number") from None
    bounds = tuple(map(float, exact))
    if not all(bound.is_finite() for bound in exact) or any(a >= b for a, b in pairwise(bounds)):
        raise ValueError(f"family {name!r}: the bucket bounds {les} do not ascend, or are not finite")
    return bounds
