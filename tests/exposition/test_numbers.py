"""Numbers as text."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.exposition.family import canonical
from tallygate.exposition.numbers import cleaned, number, shifted


@given(st.integers(), st.integers(-40, 40))
def test_shifted_is_exact_and_plain(total: int, exponent: int) -> None:
    text = shifted(total, exponent)
    assert Decimal(text) == Decimal((0 if total >= 0 else 1, tuple(map(int, str(abs(total)))), exponent))
    assert "e" not in text.lower()
    assert "." not in text or not text.endswith(("0", "."))
    assert text.removeprefix("-")[0].isdigit()


@given(st.floats(allow_nan=False))
def test_number_reads_back(value: float) -> None:
    assert float(number(value)) == value
    assert not number(value).endswith(".0")


def test_not_a_number() -> None:
    assert [number(value) for value in (float("nan"), float("inf"), float("-inf"))] == ["NaN", "+Inf", "-Inf"]


def test_cleaned_drops_the_noise_of_scaling() -> None:
    assert 2.01 * 1000 != 2010.0
    assert cleaned(2.01 * 1000) == 2010.0


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        (0, "0.0"),
        (1, "1.0"),
        (-2.5, "-2.5"),
        (0.005, "0.005"),
        (0.00001, "1e-05"),
        (4096, "4096.0"),
        (123456, "123456.0"),
        (1e6, "1e+06"),
        (-1e6, "-1e+06"),
        (1048576, "1.048576e+06"),
        (12345678.25, "1.234567825e+07"),
        (1e15, "1e+15"),
        (1e16, "1e+16"),
        (1e100, "1e+100"),
    ],
)
def test_bounds_as_prometheus_stores_them(bound: float, text: str) -> None:
    assert canonical(float(bound)) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_bounds_read_back(bound: float) -> None:
    text = canonical(bound)
    assert float(text) == bound
    assert "." in text or "e" in text
