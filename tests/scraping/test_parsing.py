"""Pages as samples: errors that say the line, and what grew between two of them."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.scraping import parsing
from tallygate.scraping.parsing import Format, PageError, fallen, format_of, grown, parse

COUNTER = "# HELP a_total A.\n# TYPE a_total counter\n"


@pytest.mark.parametrize(
    ("content_type", "format"),
    [
        ("text/plain; version=0.0.4; charset=utf-8", "text"),
        ("Text/Plain", "text"),
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", "openmetrics"),
        ("text/html", None),
        ("", None),
    ],
)
def test_formats(content_type: str, format: Format | None) -> None:
    assert format_of(content_type) == format


@pytest.mark.parametrize(
    ("body", "format", "told"),
    [
        (b"a 1\nb{x=1 2\n", "text", "line 2: "),
        (b"a 1\nb one\n", "text", "line 2: could not convert string to float: 'one', in 'b one'"),
        (b"a 1\n\xff 2\n", "text", "line 2: is not UTF-8"),
        (b"# HELP \x1b]0;x\n", "text", r"line 1: cannot be read, in '# HELP \x1b]0;x'"),
        (b"# TYPE a counter\na_total 1\n", "openmetrics", "line 2: Missing # EOF at end"),
        (b"a 1\n" + b"b" * 70_000 + b" 1\n", "text", "line 2: is longer than 65536 characters"),
    ],
)
def test_errors_say_the_line(body: bytes, format: Format, told: str) -> None:
    with pytest.raises(PageError) as problem:
        parse(body, format)
    assert str(problem.value).startswith(told)


def test_reading_ends_in_time() -> None:
    with pytest.raises(PageError) as problem:
        parse(b"a 1\n" * 5000, "text", seconds=0)
    assert str(problem.value) == "line 1000: the page takes too long to read"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text('#TYPEHL a{}="\\\n,+-.1eNI_', max_size=80).map(str.encode))
@pytest.mark.parametrize("format", ["text", "openmetrics"])
def test_no_page_breaks_it(format: Format, body: bytes) -> None:
    with suppress(PageError):
        parse(body, format)


def test_what_a_page_has() -> None:
    page = parse(
        b"# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.5\n"
        b"# TYPE none_total counter\n" + COUNTER.encode() + b'a_total{x="1"} 2\na_total{x="1"} 3\n',
        "text",
    )
    assert page.started == 1.5
    assert page.doubled == (("a_total", (("x", "1"),)),)
    assert page.samples.families >= {"a", "none", "process_start_time_seconds"}
    assert page.samples.number("a_total") == 3
    assert page.samples.number("none_total") is None


def counters(**values: int) -> parsing.Page:
    lines = "".join(f'a_total{{x="{name}"}} {value}\n' for name, value in values.items())
    return parse(f"{COUNTER}{lines}# TYPE g gauge\ng 7\n".encode(), "text")


def test_growth() -> None:
    samples, restarted = grown(counters(one=2, two=5), counters(one=3, two=5, three=4))
    told = {labels[0][1]: value for labels, value in samples.values["a_total"].items()}
    assert (told, samples.number("g"), restarted) == ({"one": 1, "two": 0, "three": 4}, 7, False)


@pytest.mark.parametrize("after", [{"one": 9, "two": 4}, {"one": 9}])
def test_after_a_restart_all_is_new(after: dict[str, int]) -> None:
    """One counter that went down, or is gone, is enough: the others began at 0 too."""
    before, page = counters(one=2, two=5), counters(**after)
    samples, restarted = grown(before, page)
    assert restarted
    assert samples == page.samples
    ((name, labels, was, now),) = fallen(before, page)
    assert (name, labels, was, now) == ("a_total", (("x", "two"),), 5, after.get("two"))
