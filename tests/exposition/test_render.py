"""What a page looks like, to the byte."""

import importlib.util
import sys
from array import array
from types import ModuleType
from typing import Any

import pytest

from tallygate.exposition import render, render_python
from tests.exposition.cells import cells


def test_the_compiled_renderer_is_the_one_in_use() -> None:
    assert render.IS_NATIVE


def test_counter(renderer: ModuleType) -> None:
    family = renderer.Family("llm_tokens_total", "counter", "Tokens.", "tokens")
    family.add(family.series('model="a"'), 0, 1)
    family.add(family.series('model="b"'), 0, 2)
    family.add(family.series('model="a"'), 0, 2)
    assert renderer.render([family], [cells(9, 10, 300)], "text", {}) == (
        b"# HELP llm_tokens_total Tokens.\n"
        b"# TYPE llm_tokens_total counter\n"
        b'llm_tokens_total{model="a"} 310\n'
        b'llm_tokens_total{model="b"} 300\n'
    )
    assert renderer.render([family], [cells(9, 10, 300)], "openmetrics", {}) == (
        b"# HELP llm_tokens Tokens.\n"
        b"# TYPE llm_tokens counter\n"
        b"# UNIT llm_tokens tokens\n"
        b'llm_tokens_total{model="a"} 310\n'
        b'llm_tokens_total{model="b"} 300\n'
        b"# EOF\n"
    )


def test_histogram(renderer: ModuleType) -> None:
    family = renderer.Family(
        "call_duration_seconds",
        "histogram",
        "How long.",
        "seconds",
        exponent=-7,
        le=["0.1", "1", "2.5", "1048576"],
        bucket_map=[0, 0, 1, 2, 3, 4],
    )
    family.add(family.series('model="a"'), 0, 1)
    family.series("")
    buffer = cells(0, 123_450_000, 1, 2, 3, 4, 5, 6)
    assert renderer.render([family], [buffer], "text", {}).decode().splitlines() == [
        "# HELP call_duration_seconds How long.",
        "# TYPE call_duration_seconds histogram",
        'call_duration_seconds_bucket{model="a",le="0.1"} 3',
        'call_duration_seconds_bucket{model="a",le="1"} 6',
        'call_duration_seconds_bucket{model="a",le="2.5"} 10',
        'call_duration_seconds_bucket{model="a",le="1048576"} 15',
        'call_duration_seconds_bucket{model="a",le="+Inf"} 21',
        'call_duration_seconds_sum{model="a"} 12.345',
        'call_duration_seconds_count{model="a"} 21',
        'call_duration_seconds_bucket{le="0.1"} 0',
        'call_duration_seconds_bucket{le="1"} 0',
        'call_duration_seconds_bucket{le="2.5"} 0',
        'call_duration_seconds_bucket{le="1048576"} 0',
        'call_duration_seconds_bucket{le="+Inf"} 0',
        "call_duration_seconds_sum 0",
        "call_duration_seconds_count 0",
    ]
    openmetrics = renderer.render([family], [buffer], "openmetrics", {}).decode().splitlines()
    assert openmetrics[:7] == [
        "# HELP call_duration_seconds How long.",
        "# TYPE call_duration_seconds histogram",
        "# UNIT call_duration_seconds seconds",
        'call_duration_seconds_bucket{model="a",le="0.1"} 3',
        'call_duration_seconds_bucket{model="a",le="1.0"} 6',
        'call_duration_seconds_bucket{model="a",le="2.5"} 10',
        'call_duration_seconds_bucket{model="a",le="1.048576e+06"} 15',
    ]
    assert openmetrics[-1] == "# EOF"


def test_several_sources_of_a_histogram_add_up(renderer: ModuleType) -> None:
    family = renderer.Family("size_bytes", "histogram", "", "bytes", le=["10"], bucket_map=[0, 1])
    series = family.series("")
    for cell in (0, 3):
        family.add(series, 0, cell)
    assert renderer.render([family], [cells(7, 1, 0, 100, 2, 3)], "text", {}).decode().splitlines()[1:] == [
        'size_bytes_bucket{le="10"} 3',
        'size_bytes_bucket{le="+Inf"} 6',
        "size_bytes_sum 107",
        "size_bytes_count 6",
    ]


def test_a_quantile_is_the_middle_of_the_bucket_that_its_rank_lies_in(renderer: ModuleType) -> None:
    family = renderer.Family(
        "wait_seconds", "summary", "", "", exponent=-1, le=["1", "2", "4"], bucket_map=[0, 1, 2, 3],
        quantiles=["0", "0.1", "0.5", "0.51", "0.9", "1"],
    )  # fmt: skip
    family.add(family.series('a="b"'), 0, 0)
    family.series("")
    page = renderer.render([family], [cells(215, 1, 4, 4, 1)], "openmetrics", {}).decode()
    assert page == (
        "# TYPE wait_seconds summary\n"
        'wait_seconds{a="b",quantile="0"} 0.5\nwait_seconds{a="b",quantile="0.1"} 0.5\n'
        'wait_seconds{a="b",quantile="0.5"} 1.5\nwait_seconds{a="b",quantile="0.51"} 3\n'
        'wait_seconds{a="b",quantile="0.9"} 3\nwait_seconds{a="b",quantile="1"} 4\n'
        'wait_seconds_sum{a="b"} 21.5\nwait_seconds_count{a="b"} 10\n'
        'wait_seconds{quantile="0"} NaN\nwait_seconds{quantile="0.1"} NaN\n'
        'wait_seconds{quantile="0.5"} NaN\nwait_seconds{quantile="0.51"} NaN\n'
        'wait_seconds{quantile="0.9"} NaN\nwait_seconds{quantile="1"} NaN\n'
        "wait_seconds_sum 0\nwait_seconds_count 0\n"
        "# EOF\n"
    )


def test_bounds_are_doubles_in_openmetrics_unless_they_are_to_stay(renderer: ModuleType) -> None:
    for as_written, bound in ((False, "4.0"), (True, "4")):
        family = renderer.Family("n", "histogram", "", "", le=["4"], le_as_written=as_written, bucket_map=[0, 1])
        family.add(family.series(""), 0, 0)
        page = renderer.render([family], [cells(3, 1, 0)], "openmetrics", {}).decode()
        assert page.splitlines()[1] == f'n_bucket{{le="{bound}"}} 1'


def test_summary_has_sum_and_count(renderer: ModuleType) -> None:
    family = renderer.Family("wait_ms", "summary", "", "", exponent=-1, bucket_map=[0, 0])
    family.add(family.series('a="b"'), 0, 0)
    assert renderer.render([family], [cells(15, 1, 2)], "openmetrics", {}) == (
        b'# TYPE wait_ms summary\nwait_ms_sum{a="b"} 1.5\nwait_ms_count{a="b"} 3\n# EOF\n'
    )


def test_info_and_stateset_and_unknown(renderer: ModuleType) -> None:
    info = renderer.Family("build_info", "info", "This build.", "")
    info.constant(info.series('version="1"'), "1")
    state = renderer.Family("breaker", "stateset", "State.", "")
    state.constant(state.series('breaker="open"'), "1")
    state.series('breaker="closed"')
    unknown = renderer.Family("thing", "unknown", "", "")
    unknown.series("")
    assert renderer.render([info, state, unknown], [], "text", {}).decode().splitlines() == [
        "# HELP build_info This build.",
        "# TYPE build_info gauge",
        'build_info{version="1"} 1',
        "# HELP breaker State.",
        "# TYPE breaker gauge",
        'breaker{breaker="open"} 1',
        'breaker{breaker="closed"} 0',
        "# TYPE thing untyped",
        "thing 0",
    ]
    assert renderer.render([info, state, unknown], [], "openmetrics", {}).decode().splitlines() == [
        "# HELP build This build.",
        "# TYPE build info",
        'build_info{version="1"} 1',
        "# HELP breaker State.",
        "# TYPE breaker stateset",
        'breaker{breaker="open"} 1',
        'breaker{breaker="closed"} 0',
        "# TYPE thing unknown",
        "thing 0",
        "# EOF",
    ]


@pytest.mark.parametrize(
    ("combine", "expected"), [("sum", "-2"), ("max", "5"), ("min", "-10")], ids=["sum", "max", "min"]
)
def test_gauges_combine(renderer: ModuleType, combine: str, expected: str) -> None:
    family = renderer.Family("in_flight", "gauge", "", "", combine=combine)
    series = family.series("")
    family.series('empty="yes"')
    for buffer, cell in ((0, 0), (1, 0), (1, 1)):
        family.add(series, buffer, cell)
    assert renderer.render([family], [cells(3), cells(-10, 5)], "text", {}).decode().splitlines()[1:] == [
        f"in_flight {expected}",
        'in_flight{empty="yes"} 0',
    ]


def test_a_constant_can_be_replaced(renderer: ModuleType) -> None:
    family = renderer.Family("g", "gauge", "", "")
    series = family.series("")
    family.add(series, 0, 0)
    family.constant(series, "1.5")
    family.constant(series, "-2e-07")
    assert renderer.render([family], [cells(7)], "text", {}) == b"# TYPE g gauge\ng -2e-07\n"


def test_a_family_without_series_shows_what_it_would_be(renderer: ModuleType) -> None:
    family = renderer.Family("a_total", "counter", "None yet.", "")
    assert renderer.render([family], [], "text", {}) == b"# HELP a_total None yet.\n# TYPE a_total counter\n"


def test_nothing_at_all(renderer: ModuleType) -> None:
    assert renderer.render([], [], "text", {}) == b""
    assert renderer.render([], [], "openmetrics", {}) == b"# EOF\n"


def test_help_is_escaped_as_each_format_wants_it(renderer: ModuleType) -> None:
    family = renderer.Family("g", "gauge", 'a "quoted" \\ path\nand a line', "")
    assert renderer.render([family], [], "text", {}).startswith(b'# HELP g a "quoted" \\\\ path\\nand a line\n')
    assert renderer.render([family], [], "openmetrics", {}).startswith(
        b'# HELP g a \\"quoted\\" \\\\ path\\nand a line\n'
    )


def test_unit_only_where_the_name_ends_in_it(renderer: ModuleType) -> None:
    for name, type, unit, shown in [
        ("wait_seconds", "gauge", "seconds", True),
        ("wait_ms", "gauge", "seconds", False),
        ("cost_usd_total", "counter", "usd", True),
        ("states_usd", "stateset", "usd", False),
        ("seconds", "gauge", "seconds", False),
    ]:
        page = renderer.render([renderer.Family(name, type, "", unit)], [], "openmetrics", {})
        assert (b"# UNIT " in page) is shown, name
        assert b"# UNIT" not in renderer.render([renderer.Family(name, type, "", unit)], [], "text", {})


def test_counters_and_infos_without_their_suffix_are_of_no_stricter_type_in_openmetrics(renderer: ModuleType) -> None:
    families = [renderer.Family("requests", "counter", "", ""), renderer.Family("build", "info", "", "")]
    assert renderer.render(families, [], "openmetrics", {}) == b"# TYPE requests unknown\n# TYPE build gauge\n# EOF\n"
    assert renderer.render(families, [], "text", {}) == b"# TYPE requests counter\n# TYPE build gauge\n"


@pytest.mark.parametrize(
    ("value", "exponent", "text"),
    [
        (0, -7, "0"),
        (0, 3, "0"),
        (1250, -2, "12.5"),
        (1, -7, "0.0000001"),
        (-15, -1, "-1.5"),
        (-5, -3, "-0.005"),
        (10_000_000, -7, "1"),
        (12, 3, "12000"),
        (2**63 - 1, 0, "9223372036854775807"),
        (-(2**63), -11, "-92233720.36854775808"),
        (2**63 - 1, -19, "0.9223372036854775807"),
    ],
)
def test_values_are_exact_decimals(renderer: ModuleType, value: int, exponent: int, text: str) -> None:
    family = renderer.Family("g", "gauge", "", "", exponent=exponent)
    family.add(family.series(""), 0, 0)
    assert renderer.render([family], [cells(value)], "text", {}) == f"# TYPE g gauge\ng {text}\n".encode()


def test_sums_beyond_64_bits_stay_exact(renderer: ModuleType) -> None:
    family = renderer.Family("a_total", "counter", "", "", exponent=-2)
    for _ in range(1000):
        family.add(family.series(""), 0, 0)
    page = renderer.render([family], [cells(2**63 - 1)], "text", {})
    assert page == b"# TYPE a_total counter\na_total 92233720368547758070\n"


@pytest.mark.parametrize(
    ("value", "factor", "text"),
    [(3, 1.1, "3.3000000000000003"), (2, 0.5, "1"), (10**15, 10.5, "1.05e+16"), (1, 1e-7, "1e-07"), (0, 0.3, "0")],
)
def test_factors_multiply_as_doubles(renderer: ModuleType, value: int, factor: float, text: str) -> None:
    family = renderer.Family("g", "gauge", "", "", factor=factor)
    family.add(family.series(""), 0, 0)
    assert renderer.render([family], [cells(value)], "text", {}) == f"# TYPE g gauge\ng {text}\n".encode()


def test_the_same_labels_are_the_same_series(renderer: ModuleType) -> None:
    family = renderer.Family("g", "gauge", "", "")
    labels = [f'n="{number}"' for number in range(5000)]
    assert [family.series(text) for text in labels] == list(range(5000))
    assert [family.series("".join(list(text))) for text in labels] == list(range(5000))


def test_what_cannot_be_is_refused(renderer: ModuleType) -> None:
    make = renderer.Family
    refused: list[tuple[str, str, dict[str, Any], str]] = [
        ("1x", "gauge", {}, "not a metric name"),
        ("x", "gaugehistogram", {}, "type 'gaugehistogram'"),
        ("x", "gauge", {"combine": "latest"}, "combine='latest'"),
        ("x", "gauge", {"le": ["1"]}, "only histograms"),
        ("x", "histogram", {"le": ["1"]}, "needs bucket_map"),
        ("x", "histogram", {"le": ["2", "1"], "bucket_map": [0]}, "do not ascend"),
        ("x", "histogram", {"le": ["NaN"], "bucket_map": [0]}, "do not ascend"),
        ("x", "histogram", {"le": ["one"], "bucket_map": [0]}, "no number"),
        ("x", "histogram", {"le": ["1"], "bucket_map": [0, 2]}, "beyond its 2 buckets"),
        ("x", "summary", {"le": ["1"], "bucket_map": [0]}, "shows no buckets"),
        ("x", "summary", {"quantiles": ["0.5"], "bucket_map": [0]}, "quantiles need them"),
        ("x", "histogram", {"quantiles": ["0.5"], "le": ["1"], "bucket_map": [0]}, "only summaries have quantiles"),
        ("x", "summary", {"quantiles": ["1.1"], "le": ["1"], "bucket_map": [0]}, "none of 0 to 1"),
        ("x", "summary", {"quantiles": ["NaN"], "le": ["1"], "bucket_map": [0]}, "none of 0 to 1"),
        ("x", "summary", {"quantiles": ["half"], "le": ["1"], "bucket_map": [0]}, "no number"),
        ("x", "gauge", {"exponent": 65}, "beyond 64"),
    ]
    for name, type, options, problem in refused:
        with pytest.raises(ValueError, match=problem):
            make(name, type, "", "", **options)


def test_wrong_indices_are_refused(renderer: ModuleType) -> None:
    family = renderer.Family("g", "gauge", "", "")
    histogram = renderer.Family("h", "histogram", "", "", le=[], bucket_map=[0])
    family.series("")
    histogram.series("")
    with pytest.raises(IndexError, match="no such series"):
        family.add(1, 0, 0)
    with pytest.raises(IndexError, match="no such series"):
        family.constant(-1, "1")
    with pytest.raises(IndexError, match="no such cell"):
        family.add(0, 0, -1)
    with pytest.raises(IndexError, match="no such cell"):
        family.add(0, 1 << 16, 0)
    with pytest.raises(IndexError, match="no such cell"):
        family.add(0, 0, 1 << 70)
    with pytest.raises(ValueError, match="no single value"):
        histogram.constant(0, "1")
    for text in ("", "1 2", "1\n", "é", "9" * 65):
        with pytest.raises(ValueError, match="1 to 64 printable"):
            family.constant(0, text)
    with pytest.raises(UnicodeEncodeError):
        family.series('a="\ud800"')


def test_a_cell_outside_of_its_buffer_is_an_error_that_names_it(renderer: ModuleType) -> None:
    gauge = renderer.Family("g", "gauge", "", "")
    gauge.add(gauge.series(""), 1, 5)
    histogram = renderer.Family("h", "histogram", "", "", le=[], bucket_map=[0, 0])
    histogram.add(histogram.series(""), 0, 1)
    with pytest.raises(IndexError, match="family 'g' reads cell 5 of buffer 1, which is not there"):
        renderer.render([gauge], [cells(1), cells(1)], "text", {})
    with pytest.raises(IndexError, match="family 'g' reads cell 5 of buffer 1, which is not there"):
        renderer.render([gauge], [cells(1)], "text", {})
    with pytest.raises(IndexError, match="family 'h' reads cell 1 of buffer 0, which is not there"):
        renderer.render([histogram], [cells(1, 2, 3)], "text", {})
    assert renderer.render([histogram], [cells(1, 2, 3, 4)], "text", {}).endswith(b"h_sum 2\nh_count 7\n")


def test_an_unknown_format_is_refused(renderer: ModuleType) -> None:
    with pytest.raises(ValueError, match="format 'protobuf' is none of text, openmetrics"):
        renderer.render([], [], "protobuf", {})


def test_buffers_of_other_items_are_refused() -> None:
    with pytest.raises(TypeError, match="signed 64-bit"):
        render.render([], [memoryview(array("d", [1.0]))], "text", {})


def test_without_the_compiled_renderer_its_twin_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tallygate.exposition.render_native", None)
    spec = importlib.util.find_spec("tallygate.exposition.render")
    assert spec is not None
    assert spec.loader is not None
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    assert fresh.Family is render_python.Family
    assert fresh.render is render_python.render
    assert not fresh.IS_NATIVE
