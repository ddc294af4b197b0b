"""Which format and encoding which client gets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.exposition.negotiate import Format, accepts_gzip, content_format

PLAIN = Format("text", "text/plain; version=0.0.4; charset=utf-8")
TEXT = Format("text", "text/plain; version=1.0.0; charset=utf-8; escaping=underscores")
OPENMETRICS = Format("openmetrics", "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores")
PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
    "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROMETHEUS_3_PROTOBUF = (
    "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6," + PROMETHEUS_3
)
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, PLAIN),
        ("", PLAIN),
        ("*/*", PLAIN),
        (BROWSER, PLAIN),
        ("application/json", PLAIN),
        ("text/*", PLAIN),
        ("text/plain", PLAIN),
        ("TEXT/Plain; Version=0.0.4", PLAIN),
        ("text/plain;version=1.0.0", TEXT),
        ("text/plain;version=0.0.4;q=0.3, text/plain;version=1.0.0;q=0.4", TEXT),
        ("text/plain;version=9", PLAIN),
        ("application/*", OPENMETRICS),
        ("application/openmetrics-text", OPENMETRICS),
        ('application/openmetrics-text; version="1.0.0"', OPENMETRICS),
        ("application/openmetrics-text;version=0.0.1", PLAIN),
        ("application/openmetrics-text;version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1", PLAIN),
        ("application/openmetrics-text;q=0.2,text/plain;q=0.3", PLAIN),
        ("*/*,application/openmetrics-text;q=0.5", PLAIN),
        ("*/*;q=0.4,application/openmetrics-text;q=0.5", OPENMETRICS),
        ("application/openmetrics-text;q=0,*/*", PLAIN),
        ("application/openmetrics-text;q=0", PLAIN),
        ("text/plain;q=0,application/*;q=0.001", OPENMETRICS),
        ("application/openmetrics-text;q=high,text/plain;q=0.1", PLAIN),
        ("application/openmetrics-text,text/plain", OPENMETRICS),
        (PROMETHEUS_2, OPENMETRICS),
        (PROMETHEUS_3, Format("openmetrics", OPENMETRICS.content_type.replace("underscores", "allow-utf-8"))),
        (PROMETHEUS_3_PROTOBUF, Format("openmetrics", OPENMETRICS.content_type.replace("underscores", "allow-utf-8"))),
        ("text/plain;version=1.0.0;escaping=allow-utf8", Format("text", TEXT.content_type[:-11] + "allow-utf-8")),
        ("text/plain;version=1.0.0;escaping=values", Format("text", TEXT.content_type[:-11] + "values")),
        ("text/plain;version=1.0.0;escaping=dots", TEXT),
        ("text/plain;version=1.0.0;escaping=\r\nx", TEXT),
    ],
)
def test_formats(accept: str | None, expected: Format) -> None:
    assert content_format(accept) == expected


@pytest.mark.parametrize(
    ("accept_encoding", "expected"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("x-gzip", True),
        ("identity", False),
        ("gzip, deflate, br", True),
        ("gzip;q=0", False),
        ("gzip;q=0, *", False),
        ("*", True),
        ("*;q=0", False),
        ("*;q=0.5, identity", False),
        ("gzip;q=0.5, identity;q=0.5", True),
        ("gzip;q=0.4, identity;q=0.5", False),
        ("gzip;q=2", False),
        ("br", False),
    ],
)
def test_encodings(accept_encoding: str | None, expected: bool) -> None:
    assert accepts_gzip(accept_encoding) is expected


fragments = st.sampled_from(
    [
        "text/plain",
        "application/openmetrics-text",
        "*/*",
        "gzip",
        ";",
        ",",
        "=",
        "q=",
        "q",
        "1",
        "0.5",
        "version",
        '"',
        " ",
    ]
)
malformed = st.text() | st.lists(fragments | st.text(max_size=3)).map("".join)
KNOWN = {
    format.content_type.replace("underscores", escaping)
    for format in (PLAIN, TEXT, OPENMETRICS)
    for escaping in ("underscores", "allow-utf-8", "values")
}


@given(malformed)
def test_malformed_headers_are_answered(header: str) -> None:
    assert content_format(header).content_type in KNOWN
    assert accepts_gzip(header) in (True, False)


@given(
    st.lists(
        st.tuples(st.sampled_from(["0.0.4", "1.0.0"]), st.integers(1, 1000)),
        min_size=1,
        max_size=2,
        unique_by=lambda x: x[0],
    )
)
def test_the_higher_weight_wins(asked: list[tuple[str, int]]) -> None:
    header = ",".join(f"text/plain;version={version};q={weight / 1000:.3f}" for version, weight in asked)
    best = max(weight for _, weight in asked)
    winners = [version for version, weight in asked if weight == best]
    assert any(f"version={version}" in content_format(header).content_type for version in winners)
