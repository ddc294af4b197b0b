"""The compiled renderer and the one in Python say the same, byte for byte."""

import struct
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.exposition import render_native, render_python
from tallygate.exposition.escape import labels
from tallygate.ledger.interface import Exemplar
from tests.exposition.cells import cells

CELLS = 40
values = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-1000, 1000), st.integers(0, 10**12))
finite = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
bounds = st.lists(st.decimals("-1000", "10000000", places=3), unique=True, max_size=5).map(sorted)
types = st.sampled_from(["counter", "gauge", "histogram", "summary", "info", "unknown", "stateset"])


class Described(NamedTuple):
    """A family, told to either renderer in the same words."""

    arguments: tuple[str, str, str, str]
    options: dict[str, Any]
    series: list[str]
    sources: list[tuple[int, int, int]]
    constants: list[tuple[int, str]]

    def made_by(self, renderer: Any) -> Any:
        family = renderer.Family(*self.arguments, **self.options)
        indices = [family.series(text) for text in self.series]
        for series, buffer, cell in self.sources:
            family.add(indices[series % len(indices)], buffer, cell)
        for series, text in self.constants:
            family.constant(indices[series % len(indices)], text)
        return family


@st.composite
def families(draw: st.DrawFn) -> Described:
    type = draw(types)
    options: dict[str, Any] = {
        "exponent": draw(st.integers(-20, 20)),
        "factor": draw(st.none() | finite),
        "scale": draw(st.integers(-12, 12)),
        "combine": draw(st.sampled_from(["sum", "max", "min"])),
    }
    length = 1
    if type in ("histogram", "summary"):
        own = draw(bounds)
        if type == "summary":
            quantiles = draw(st.lists(st.decimals(0, 1, places=3), max_size=3)) if own else []
            own = own if quantiles else []
            options["quantiles"] = [str(quantile) for quantile in quantiles]
        options["le"] = [f"{bound:f}" for bound in own]
        options["le_as_written"] = draw(st.booleans())
        options["bucket_map"] = draw(st.lists(st.integers(0, len(own)), min_size=1, max_size=8))
        length += len(options["bucket_map"])
    name = draw(st.sampled_from(["a", "a_total", "a_seconds", "a_info", "a_seconds_total"]))
    series = [
        labels(pairs) for pairs in draw(st.lists(st.lists(st.tuples(st.just("x"), texts), max_size=2), max_size=6))
    ]
    source = st.tuples(st.integers(0, 5), st.integers(0, 1), st.integers(0, CELLS - length))
    constant = st.tuples(st.integers(0, 5), st.sampled_from(["1", "0.5", "+Inf", "-1e-07"]))
    is_single = type not in ("histogram", "summary")
    return Described(
        (name, type, draw(texts), draw(st.sampled_from(["", "seconds"]))),
        options,
        series,
        draw(st.lists(source, max_size=12)) if series else [],
        draw(st.lists(constant, max_size=3)) if series and is_single else [],
    )


ids = st.text("0123456789abcdef", max_size=70) | st.text(max_size=4).filter(lambda text: text.isprintable())
exemplars = st.lists(
    st.builds(Exemplar, st.integers(0, CELLS), ids, ids, st.floats(), st.floats(0, 2e9) | st.floats()), max_size=12
).map(lambda items: {item.cell: item for item in items})
buffers = st.lists(values, min_size=CELLS, max_size=CELLS).map(lambda numbers: cells(*numbers))


@settings(max_examples=150, deadline=None)
@given(
    st.lists(families(), max_size=4), st.tuples(buffers, buffers), st.sampled_from(["text", "openmetrics"]), exemplars
)
def test_pages(described: list[Described], both: tuple[memoryview, memoryview], format: str, known: Any) -> None:
    native = render_native.render([each.made_by(render_native) for each in described], both, format, known)
    python = render_python.render([each.made_by(render_python) for each in described], both, format, known)
    assert native == python


def shown(renderer: Any, factors: list[float]) -> list[str]:
    """Each factor as the value of a series that counted 1."""
    families = []
    for factor in factors:
        family = renderer.Family("g", "gauge", "", "", factor=factor)
        family.add(family.series(""), 0, 0)
        families.append(family)
    page: bytes = renderer.render(families, [cells(1)], "text", {})
    return [line.removeprefix("g ") for line in page.decode().splitlines()[1::2]]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.floats() | st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("d", struct.pack("Q", bits))[0]))
)
def test_doubles(factors: list[float]) -> None:
    assert shown(render_native, factors) == shown(render_python, factors)


def test_powers_of_two_and_their_neighbours() -> None:
    """Where the shortest text is hardest to find."""
    bits = [struct.unpack("Q", struct.pack("d", 2.0**exponent))[0] for exponent in range(-1074, 1024)]
    factors = [
        struct.unpack("d", struct.pack("Q", number + step))[0]
        for number in bits
        for step in (-1, 0, 1)
        if number + step
    ]
    native = shown(render_native, factors)
    assert native == shown(render_python, factors)
    assert [float(text) for text in native] == factors
