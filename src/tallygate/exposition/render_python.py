"""The renderer in Python: what the compiled one does, byte for byte, where there is no compiler."""

from __future__ import annotations

import time
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from threading import Lock
from typing import Final, NamedTuple, TypeVar, Unpack

from tallygate.exposition.family import BILLION, FORMATS, HISTOGRAM, SCALAR, Layout, Options, Prepared, prepare
from tallygate.exposition.numbers import cleaned, number, shifted
from tallygate.ledger.interface import Exemplar

_K = TypeVar("_K")

LABEL_NAMES: Final = len("trace_id") + len("span_id")
LABEL_LIMIT: Final = 128
"""Characters that the labels of an exemplar may have in all, by OpenMetrics."""
LATEST_TIME: Final = 1e11
"""Seconds; an exemplar beyond has no sensible time."""
CONSTANT_LIMIT: Final = 64
SLICE: Final = 0.0004
"""Seconds of work between two pauses."""
PAUSE: Final = 0.00005
"""Seconds: long enough for a waiting thread, such as an event loop's, to take the interpreter."""


class Family:
    """A metric family and where the values of its series come from. Safe to add to while it is rendered."""

    __slots__ = ("_buffers", "_cells", "_constants", "_lock", "_prepared", "_series", "_sources")

    def __init__(self, name: str, type: str, help: str, unit: str, **options: Unpack[Options]) -> None:
        self._prepared = prepare(name, type, help, unit, **options)
        self._series: dict[str, int] = {}
        self._constants: dict[int, str] = {}
        self._sources, self._buffers, self._cells = array("I"), array("H"), array("q")
        self._lock = Lock()

    def series(self, labels: str, /) -> int:
        """The index of the series with these labels (escaped and joined); made, at 0, when new."""
        labels.encode()  # UnicodeEncodeError now, not on every page
        with self._lock:
            return self._series.setdefault(labels, len(self._series))

    def add(self, series: int, buffer: int, cell: int, /) -> None:
        """Add a cell to a series; for a histogram, the cell of the sum, which the buckets follow."""
        if not 0 <= series < len(self._series):
            raise IndexError("there is no such series")
        if not (0 <= buffer < 1 << 16 and 0 <= cell < 1 << 48):
            raise IndexError("there can be no such cell")
        with self._lock:
            self._buffers.append(buffer)
            self._cells.append(cell)
            self._sources.append(series)

    def constant(self, series: int, text: str, /) -> None:
        """Let a series have this value, written out. ValueError for a family that has more than one value a series."""
        if not 0 <= series < len(self._series):
            raise IndexError("there is no such series")
        if self._prepared.shape != SCALAR:
            raise ValueError("a histogram or summary has no single value")
        if not (0 < len(text) <= CONSTANT_LIMIT and text.isascii() and text.isprintable() and " " not in text):
            raise ValueError(f"a value has 1 to {CONSTANT_LIMIT} printable characters")
        self._constants[series] = text


class _Traced(NamedTuple):
    """An exemplar ready to be written."""

    value: float
    timestamp: float
    labels: str


class _Pauses:
    """Lets other threads run from time to time."""

    def __init__(self) -> None:
        self._next = time.perf_counter() + SLICE

    def take(self) -> None:
        if time.perf_counter() > self._next:
            time.sleep(PAUSE)
            self._next = time.perf_counter() + SLICE


def render(
    families: Sequence[Family],
    buffers: Sequence[memoryview],
    format: str,
    exemplars: Mapping[int, Exemplar],
    /,
) -> bytes:
    """The page. ``exemplars`` are keyed by their cell in the first buffer; only OpenMetrics shows them.

    IndexError when a source lies outside of its buffer.
    """
    if format not in FORMATS:
        raise ValueError(f"format {format!r} is none of {', '.join(FORMATS)}")
    is_openmetrics = format == "openmetrics"
    traced = _prepare(exemplars) if is_openmetrics else {}
    pauses = _Pauses()
    pieces: list[bytes] = []
    for family in families:
        sources = len(family._sources)
        labels = list(family._series)
        layout = family._prepared.openmetrics if is_openmetrics else family._prepared.text
        pieces.append(layout.head)
        write = _scalar if family._prepared.shape == SCALAR else _spread
        pieces.extend(write(family, layout, labels, sources, buffers, traced, pauses))
    if is_openmetrics:
        pieces.append(b"# EOF\n")
    return b"".join(pieces)


def _scalar(
    family: Family,
    layout: Layout,
    labels: Sequence[str],
    sources: int,
    buffers: Sequence[memoryview],
    traced: Mapping[int, _Traced],
    pauses: _Pauses,
) -> Iterator[bytes]:
    name, prepared = layout.name.decode(), family._prepared
    combine = (int.__add__, max, min)[prepared.combine]
    totals: list[int | None] = [None] * len(labels)
    latest: dict[int, _Traced] = {}
    for index in range(sources):
        series, cell, value = family._sources[index], family._cells[index], _read(family, index, 1, buffers)[0]
        already = totals[series]
        totals[series] = value if already is None else combine(already, value)
        if prepared.exemplars and cell in traced and family._buffers[index] == 0:
            _keep(latest, series, traced[cell])
        pauses.take()
    for series, text in enumerate(labels):
        value_text = family._constants.get(series) or _value(family, totals[series] or 0)
        shown = _shown(family, latest[series]) if series in latest else ""
        yield f"{name}{'{' + text + '}' if text else ''} {value_text}{shown}\n".encode()
        pauses.take()


def _spread(
    family: Family,
    layout: Layout,
    labels: Sequence[str],
    sources: int,
    buffers: Sequence[memoryview],
    traced: Mapping[int, _Traced],
    pauses: _Pauses,
) -> Iterator[bytes]:
    name, prepared = layout.name.decode(), family._prepared
    width = len(prepared.bounds) + 1
    sums = [0] * len(labels)
    counts = [[0] * width for _ in labels]
    latest: dict[tuple[int, int], _Traced] = {}
    for index in range(sources):
        series, cell = family._sources[index], family._cells[index]
        total, *buckets = _read(family, index, 1 + len(prepared.bucket_map), buffers)
        sums[series] += total
        for ledger_bucket, (bucket, count) in enumerate(zip(prepared.bucket_map, buckets, strict=True)):
            counts[series][bucket] += count
            found = traced.get(cell + 1 + ledger_bucket) if family._buffers[index] == 0 else None
            if prepared.exemplars and found is not None and _within(family, bucket, found.value):
                _keep(latest, (series, bucket), found)
        pauses.take()
    for series, text in enumerate(labels):
        running, before = 0, text + "," if text else ""
        for bucket, le in enumerate(layout.buckets):
            running += counts[series][bucket]
            if prepared.shape == HISTOGRAM:
                at = (series, bucket)
                shown = _shown(family, latest[at]) if at in latest else ""
                yield f"{name}_bucket{{{before}{le.decode()}{running}{shown}\n".encode()
        reached = list(accumulate(counts[series])) if prepared.quantiles else []
        for quantile, parts in prepared.quantiles:
            yield f"{name}{{{before}{quantile.decode()}{_quantile(prepared, reached, parts)}\n".encode()
        braced = f"{{{text}}}" if text else ""
        yield f"{name}_sum{braced} {_value(family, sums[series])}\n{name}_count{braced} {running}\n".encode()
        pauses.take()


def _quantile(prepared: Prepared, reached: Sequence[int], parts: int) -> str:
    """The middle of the bucket in which the value of this rank lies; NaN when there is none. reached: counts so far."""
    if reached[-1] <= 0:
        return "NaN"
    rank = max(1, -(-reached[-1] * parts // BILLION))
    return prepared.middles[bisect_left(reached, rank, 0, len(reached) - 1)].decode()


def _read(family: Family, index: int, length: int, buffers: Sequence[memoryview]) -> Sequence[int]:
    buffer, cell = family._buffers[index], family._cells[index]
    if buffer >= len(buffers) or cell + length > len(buffers[buffer]):
        name = family._prepared.text.name.decode()
        raise IndexError(f"family {name!r} reads cell {cell} of buffer {buffer}, which is not there")
    return buffers[buffer][cell : cell + length].tolist()


def _value(family: Family, total: int) -> str:
    prepared = family._prepared
    if prepared.factor is None:
        return shifted(total, prepared.exponent)
    base = float(total) / prepared.step if prepared.exponent < 0 else float(total) * prepared.step
    return number(base * prepared.factor)


def _prepare(exemplars: Mapping[int, Exemplar]) -> dict[int, _Traced]:
    """Those that can be shown: hexadecimal or similar ids, not too long, finite numbers."""
    shown = {}
    for cell, (_, trace_id, span_id, value, timestamp) in sorted(exemplars.items()):
        both = trace_id + span_id
        if not (trace_id and both.isascii() and both.isalnum() and LABEL_NAMES + len(both) <= LABEL_LIMIT):
            continue
        if not (abs(value) < float("inf") and 0 <= timestamp < LATEST_TIME):
            continue
        span = f',span_id="{span_id}"' if span_id else ""
        shown[cell] = _Traced(value, timestamp, f'{{trace_id="{trace_id}"{span}}}')
    return shown


def _keep(latest: dict[_K, _Traced], key: _K, found: _Traced) -> None:
    if key not in latest or found.timestamp > latest[key].timestamp:
        latest[key] = found


def _scaled(family: Family, value: float) -> float:
    """An exemplar's value in the family's unit."""
    prepared = family._prepared
    if prepared.scale == 0 and prepared.factor is None:
        return value
    scaled = value * prepared.scale_step if prepared.scale >= 0 else value / prepared.scale_step
    return cleaned(scaled if prepared.factor is None else scaled * prepared.factor)


def _within(family: Family, bucket: int, value: float) -> bool:
    bounds, scaled = family._prepared.bounds, _scaled(family, value)
    return (bucket == 0 or scaled > bounds[bucket - 1]) and (bucket == len(bounds) or scaled <= bounds[bucket])


def _shown(family: Family, traced: _Traced) -> str:
    time_text = shifted(int(traced.timestamp * 1000 + 0.5), -3)
    return f" # {traced.labels} {number(_scaled(family, traced.value))} {time_text}"
