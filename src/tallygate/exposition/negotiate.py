"""Which text format and encoding a client gets, by its ``Accept`` and ``Accept-Encoding`` headers.

Offered are the text formats 0.0.4 and 1.0.0 and OpenMetrics 1.0.0. A client that wants none of them gets text 0.0.4,
as Prometheus asks of its targets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

TEXT_0_0_4: Final = "text/plain; version=0.0.4; charset=utf-8"
TEXT_1_0_0: Final = "text/plain; version=1.0.0; charset=utf-8; escaping="
OPENMETRICS_1_0_0: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping="

ESCAPINGS: Final = {"allow-utf-8": "allow-utf-8", "allow-utf8": "allow-utf-8", "values": "values"}
"""Schemes under which our names, plain ASCII words, look as they are. Others are answered with underscores."""
DEFAULT_ESCAPING: Final = "underscores"

WEIGHT: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class Format(NamedTuple):
    """What a page is written in."""

    name: str
    """text or openmetrics, as the renderer calls it."""
    content_type: str


class _Offer(NamedTuple):
    type: str
    subtype: str
    version: str
    name: str
    content_type: str

    def format(self, escaping: str) -> Format:
        return Format(self.name, self.content_type + escaping if self.content_type.endswith("=") else self.content_type)


OFFERS: Final = (
    _Offer("text", "plain", "0.0.4", "text", TEXT_0_0_4),
    _Offer("text", "plain", "1.0.0", "text", TEXT_1_0_0),
    _Offer("application", "openmetrics-text", "1.0.0", "openmetrics", OPENMETRICS_1_0_0),
)
"""Our preference, where a client has none."""


class _Range(NamedTuple):
    """One element of an Accept header."""

    type: str
    subtype: str
    parameters: dict[str, str]
    weight: float

    def precision(self, offer: _Offer) -> int:
        """How exactly it names an offer; 0 when it does not."""
        if (self.type, self.subtype) == (offer.type, offer.subtype):
            version = self.parameters.get("version")
            return 3 if version is None else 4 if version == offer.version else 0
        if self.subtype == "*" and self.type in (offer.type, "*"):
            return 2 if self.type == offer.type else 1
        return 0


def content_format(accept: str | None) -> Format:
    """The format for an Accept header, however malformed it is."""
    ranges = [_range(type, parameters) for type, parameters in _elements(accept or "*/*")]
    best, best_key = OFFERS[0].format(DEFAULT_ESCAPING), (0.0, 0, 0)
    for offer in OFFERS:
        # The most precise range decides about an offer; among equals the first.
        precision, place = max(((each.precision(offer), -index) for index, each in enumerate(ranges)), default=(0, 0))
        if not precision:
            continue
        chosen = ranges[-place]
        key = (chosen.weight, precision, place)
        if chosen.weight > 0 and key > best_key:
            best, best_key = offer.format(_escaping(chosen)), key
    return best


def accepts_gzip(accept_encoding: str | None) -> bool:
    """Whether the page should be sent gzipped: accepted, and not less welcome than the plain page."""
    weights = {coding: _weight(parameters) for coding, parameters in _elements(accept_encoding or "")}
    gzip = weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0)))
    return gzip > 0 and gzip >= weights.get("identity", 0.0)


def _range(media_type: str, parameters: dict[str, str]) -> _Range:
    type, _, subtype = media_type.partition("/")
    return _Range(type.strip(), subtype.strip(), parameters, _weight(parameters))


def _escaping(chosen: _Range) -> str:
    return ESCAPINGS.get(chosen.parameters.get("escaping", ""), DEFAULT_ESCAPING)


def _weight(parameters: dict[str, str]) -> float:
    """The q-value: 1 when there is none, 0 when it is none."""
    text = parameters.get("q", "1")
    return float(text) if WEIGHT.fullmatch(text) else 0.0


def _elements(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The elements of a header, in lower case, each with its parameters."""
    for element in header.lower().split(","):
        value, *rest = element.split(";")
        parameters: dict[str, str] = {}
        for parameter in rest:
            name, _, text = parameter.partition("=")
            parameters.setdefault(name.strip(), text.strip().strip('"'))
        if value.strip():
            yield value.strip(), parameters
