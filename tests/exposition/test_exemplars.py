"""Which exemplar is shown where."""

from types import ModuleType

import pytest

from tests.exposition.cells import SPAN, TRACE, cells, exemplar

LABELS = f'{{trace_id="{TRACE}",span_id="{SPAN}"}}'


def seconds(renderer: ModuleType, **options: object) -> object:
    family = renderer.Family(
        "d_seconds", "histogram", "", "", **{"exponent": -7, "le": ["0.1", "1"], "bucket_map": [0, 0, 1, 2], **options}
    )
    family.add(family.series(""), 0, 0)
    return family


BUFFER = cells(0, 1, 1, 1, 1)


def lines(renderer: ModuleType, family: object, exemplars: object, format: str = "openmetrics") -> list[str]:
    page: bytes = renderer.render([family], [BUFFER], format, exemplars)
    return page.decode().splitlines()


def test_on_buckets(renderer: ModuleType) -> None:
    shown = lines(renderer, seconds(renderer), exemplar(3, 0.25, 1_700_000_000.1234))
    assert shown[1:4] == [
        'd_seconds_bucket{le="0.1"} 2',
        f'd_seconds_bucket{{le="1.0"}} 3 # {LABELS} 0.25 1700000000.123',
        'd_seconds_bucket{le="+Inf"} 4',
    ]
    assert shown[4:] == ["d_seconds_sum 0", "d_seconds_count 4", "# EOF"]


def test_never_in_text(renderer: ModuleType) -> None:
    assert "#" not in "".join(lines(renderer, seconds(renderer), exemplar(3, 0.25), "text")[1:])


def test_a_coarser_bucket_shows_the_latest_of_its_buckets(renderer: ModuleType) -> None:
    both = exemplar(1, 0.01, 20.0) | exemplar(2, 0.05, 10.0)
    assert lines(renderer, seconds(renderer), both)[1].endswith(f"2 # {LABELS} 0.01 20")
    both = exemplar(1, 0.01, 10.0) | exemplar(2, 0.05, 20.0)
    assert lines(renderer, seconds(renderer), both)[1].endswith(f"2 # {LABELS} 0.05 20")


def test_not_outside_of_the_bucket(renderer: ModuleType) -> None:
    for cell, value in [(1, 0.2), (3, 0.1), (3, 1.5), (4, 0.5)]:
        assert "#" not in "".join(lines(renderer, seconds(renderer), exemplar(cell, value))[1:-1]), (cell, value)
    for cell, value in [(1, 0.1), (3, 1.0), (4, 1.01)]:
        assert "# {" in "".join(lines(renderer, seconds(renderer), exemplar(cell, value))[1:-1]), (cell, value)


def test_in_the_unit_of_the_family(renderer: ModuleType) -> None:
    milliseconds = seconds(renderer, exponent=-4, scale=3, le=["100", "1000"])
    assert lines(renderer, milliseconds, exemplar(3, 0.57))[2].endswith(f"3 # {LABELS} 570 1700000000")
    minutes = seconds(renderer, exponent=-7, factor=1 / 60, le=["0.5", "1"])
    assert lines(renderer, minutes, exemplar(3, 45.0))[2].endswith(f"3 # {LABELS} 0.75 1700000000")


def test_on_counters_but_not_on_gauges(renderer: ModuleType) -> None:
    for name, type, shown in [("a_total", "counter", True), ("a", "counter", False), ("a_total", "gauge", False)]:
        family = renderer.Family(name, type, "", "")
        family.add(family.series(""), 0, 1)
        page = lines(renderer, family, exemplar(1, 1.0))
        assert page[1] == (f"{name} 1 # {LABELS} 1 1700000000" if shown else f"{name} 1")


def test_only_of_the_first_buffer(renderer: ModuleType) -> None:
    family = renderer.Family("a_total", "counter", "", "")
    family.add(family.series(""), 1, 1)
    page = renderer.render([family], [BUFFER, cells(5, 6)], "openmetrics", exemplar(1, 1.0))
    assert page.decode().splitlines()[1] == "a_total 6"


def test_many_series_each_show_their_own(renderer: ModuleType) -> None:
    family = renderer.Family("a_total", "counter", "", "")
    for cell in (5, 3, 9, 0, 7):
        family.add(family.series(f'cell="{cell}"'), 0, cell)
    known = exemplar(9, 1.0, 9.0) | exemplar(0, 1.0, 1.0) | exemplar(5, 1.0, 5.0) | exemplar(6, 1.0, 6.0)
    page = renderer.render([family], [cells(*range(10))], "openmetrics", known)
    assert page.decode().splitlines()[1:-1] == [
        f'a_total{{cell="5"}} 5 # {LABELS} 1 5',
        'a_total{cell="3"} 3',
        f'a_total{{cell="9"}} 9 # {LABELS} 1 9',
        f'a_total{{cell="0"}} 0 # {LABELS} 1 1',
        'a_total{cell="7"} 7',
    ]


@pytest.mark.parametrize(
    ("trace_id", "span_id", "shown"),
    [
        (TRACE, "", f'{{trace_id="{TRACE}"}}'),
        ("", SPAN, ""),
        ('a"b', SPAN, ""),
        ("é", SPAN, ""),
        ("a" * 64, "b" * 49, f'{{trace_id="{"a" * 64}",span_id="{"b" * 49}"}}'),
        ("a" * 64, "b" * 50, ""),
    ],
    ids=["no span", "no trace", "quote", "not ASCII", "128 characters", "129 characters"],
)
def test_labels(renderer: ModuleType, trace_id: str, span_id: str, shown: str) -> None:
    page = lines(renderer, seconds(renderer), exemplar(1, 0.05, trace_id=trace_id, span_id=span_id))
    assert page[1] == 'd_seconds_bucket{le="0.1"} 2' + (f" # {shown} 0.05 1700000000" if shown else "")


@pytest.mark.parametrize(
    ("value", "timestamp"), [(float("nan"), 1.0), (0.05, -1.0), (0.05, float("nan")), (0.05, 1e12)]
)
def test_senseless_ones_are_left_out(renderer: ModuleType, value: float, timestamp: float) -> None:
    assert lines(renderer, seconds(renderer), exemplar(1, value, timestamp))[1] == 'd_seconds_bucket{le="0.1"} 2'
