"""Prices: hand-computed figures, the catalogue's own arithmetic as the judge, and exactness for any price."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from genai_prices import Usage, data_snapshot
from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TimeOfDateConstraint,
)
from hypothesis import given
from hypothesis import strategies as st

from tallygate import catalogue
from tallygate.catalogue import find, provider_id, tariff_at
from tallygate.pricing import LONGEST_NAME, Price, PriceList, PriceOverride, Rates, Tariff

USD_UNITS = 10**11


@pytest.fixture(scope="module")
def prices() -> PriceList:
    return PriceList(capacity=100_000)


# input, output, cache read, cache write, reasoning; then USD, worked out by hand from the providers' price pages.
@pytest.mark.parametrize(
    ("provider", "model", "tokens", "usd"),
    [
        ("openai", "gpt-4o", (1000, 200, 0, 0, 0), "0.0045"),
        ("openai", "gpt-4o", (1000, 200, 600, 0, 0), "0.00375"),  # 400 x 2.5 + 600 x 1.25 + 200 x 10
        ("openai", "gpt-4o-2024-08-06", (1000, 200, 0, 0, 0), "0.0045"),
        ("openai", "gpt-4o-mini", (1_000_000, 1_000_000, 0, 0, 0), "0.75"),
        ("openai", "gpt-4o-mini", (1, 0, 0, 0, 0), "0.00000015"),
        ("openai", "text-embedding-3-small", (1_000_000, 0, 0, 0, 0), "0.02"),
        ("openai", "o3-mini", (100, 500, 0, 0, 400), "0.00231"),  # reasoning is output: 100 x 1.1 + 500 x 4.4
        ("azure", "gpt-4o", (1000, 200, 600, 0, 0), "0.00375"),
        # Anthropic, 3 and 15: 700 x 3 + 200 x 0.3 + 100 x 3.75 + 50 x 15
        ("anthropic", "claude-3-5-sonnet-20241022", (1000, 50, 200, 100, 0), "0.003285"),
        ("google", "gemini-2.5-pro", (200_000, 1000, 0, 0, 0), "0.26"),  # 1.25 and 10
        ("google", "gemini-2.5-pro", (200_001, 1000, 0, 0, 0), "0.5150025"),  # 2.50 and 15, for all tokens
        ("gemini", "gemini-2.5-flash", (1_000_000, 0, 0, 0, 0), "0.3"),
        ("groq", "llama-3.3-70b-versatile", (1_000_000, 1_000_000, 0, 0, 0), "1.38"),  # 0.59 + 0.79
    ],
)
def test_figures_by_hand(
    prices: PriceList, provider: str, model: str, tokens: tuple[int, int, int, int, int], usd: str
) -> None:
    price = prices.price_of(provider, model)
    assert price is not None
    assert price.cost(*tokens) == Decimal(usd) * USD_UNITS


def test_every_model_of_the_catalogue_costs_what_the_catalogue_says(prices: PriceList) -> None:
    chance = random.Random(20261121)
    compared = 0
    for provider in data_snapshot.get_snapshot().providers:
        for model in provider.models:
            price = prices.price_of(provider.id, model.id)
            if price is None:  # sold by the hour, the page or the picture
                continue
            read = chance.choice([10, 1000, 150_000, 200_000, 200_001, 300_000, 1_000_001])
            cached, written = chance.randrange(read // 2 + 1), chance.randrange(read // 3 + 1)
            output = chance.randrange(9000)
            reasoning = chance.randrange(output + 1)
            usage = Usage(
                input_tokens=read,
                output_tokens=output,
                cache_read_tokens=cached,
                cache_write_tokens=written,
                output_reasoning_tokens=reasoning,
            )
            expected = model.calc_price(usage, provider).total_price * USD_UNITS
            got = price.cost(read, output, cached, written, reasoning)
            assert abs(got - expected) <= Decimal("0.500001"), f"{provider.id} {model.id}"
            compared += 1
    assert compared > 1500


def test_a_canonical_name_means_the_same_model(prices: PriceList) -> None:
    for provider in data_snapshot.get_snapshot().providers:
        for model in provider.models:
            canonical = prices.canonical_model(provider.id, model.id)
            assert canonical is not None
            assert prices.canonical_model(provider.id, canonical) == canonical == model.id


def test_names_and_their_canonical_form(prices: PriceList) -> None:
    assert prices.canonical_model("openai", "gpt-4o-2024-08-06") == "gpt-4o"
    assert prices.canonical_model("OPENAI", "GPT-4o") == "gpt-4o"
    assert prices.canonical_model("openai", "made-up") is None
    assert prices.canonical_model("made-up", "gpt-4o") is None
    assert prices.price_of("openai", "") is None
    assert prices.price_of("openai", "gpt-4o-" + "x" * LONGEST_NAME) is None


per_million = st.decimals(min_value=0, max_value=1000, places=9)
count = st.integers(min_value=0, max_value=5_000_000)


@given(*[per_million] * 4, count, count, count, count)
def test_any_price_is_exact_to_half_a_unit(
    input_rate: Decimal,
    output_rate: Decimal,
    read_rate: Decimal,
    write_rate: Decimal,
    plain: int,
    output: int,
    read: int,
    written: int,
) -> None:
    override = PriceOverride("m", input_rate, output_rate, cache_read=read_rate, cache_write=write_rate)
    price = PriceList([override]).price_of("anybody", "m")
    assert price is not None
    exact = (plain * input_rate + read * read_rate + written * write_rate + output * output_rate) * 100_000
    assert abs(price.cost(plain + read + written, output, read, written) - exact) <= Decimal("0.5")


@given(st.decimals(min_value=0, max_value=1000, places=5), count, count)
def test_prices_of_five_decimals_lose_nothing(rate: Decimal, read: int, cached: int) -> None:
    price = PriceList([PriceOverride("m", rate)]).price_of("anybody", "m")
    assert price is not None
    assert price.cost(read + cached, 7, cached) == (read + cached) * rate * 100_000


@given(st.integers(min_value=0, max_value=2**50))
def test_a_cost_survives_the_way_into_the_ledger(units: int) -> None:
    assert round(units / USD_UNITS * 10.0**11) == units


def test_overrides_go_first_and_the_closer_one_wins() -> None:
    prices = PriceList(
        [
            PriceOverride("gpt-4o", Decimal(1)),
            PriceOverride("gpt-4o", Decimal(2), provider="mine"),
            PriceOverride("llama", Decimal("0.1"), Decimal("0.2"), cache_read=Decimal("0.05")),
        ]
    )

    def cost(provider: str, model: str, *tokens: int) -> int:
        price = prices.price_of(provider, model)
        assert price is not None
        return price.cost(*tokens)

    assert cost("openai", "gpt-4o", 1_000_000, 0) == 1 * USD_UNITS
    assert cost("mine", "gpt-4o", 1_000_000, 0) == 2 * USD_UNITS
    assert cost("vllm", "llama", 10, 10, 4, 1) == 280_000  # 6 x 0.1 + 4 x 0.05 + 10 x 0.2 = 2.8 millionths
    assert prices.canonical_model("vllm", "llama") == "llama"
    assert prices.canonical_model("mine", "gpt-4o-2024-08-06") is None


def test_overrides_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="price of 'm': output is -1; it must be a number of USD, 0 or more"):
        PriceOverride("m", Decimal(1), Decimal(-1))
    with pytest.raises(ValueError, match="price of 'm': input is NaN"):
        PriceOverride("m", Decimal("NaN"))
    with pytest.raises(ValueError, match="model 'm' of provider 'p' has two configured prices"):
        PriceList([PriceOverride("m", Decimal(1), provider="p"), PriceOverride("m", Decimal(2), provider="p")])


def test_a_float_is_the_decimal_that_was_written() -> None:
    override = PriceOverride("m", 0.1)  # type: ignore[arg-type]  # callers without a type checker
    assert override.input == Decimal("0.1")


def test_more_cached_than_read_pays_what_was_cached() -> None:
    price = Price(Tariff(((-1, Rates(Decimal(10), Decimal(0), Decimal(1), Decimal(20))),)))
    assert price.cost(5, 0, 8, 2) == (8 * 1 + 2 * 20) * 100_000


def test_strangers_names_do_not_pile_up() -> None:
    prices = PriceList(capacity=50)
    for number in range(500):
        assert prices.price_of("openai", f"nobody-{number}") is None
    assert len(prices._found) == 50
    snapshot = data_snapshot.get_snapshot()
    assert not any("nobody" in key[2] for key in snapshot._lookup_cache)
    assert not any("nobody" in (key[0] or "") for key in snapshot._provider_misses)


def test_providers_by_url_name_and_kind() -> None:
    assert provider_id("anything", url="https://api.groq.com/openai/v1") == "groq"
    assert provider_id("openai", kind="openai", url="http://127.0.0.1:9999/v1") == "openai"
    assert provider_id("local", kind="openai", url="http://127.0.0.1:8000/v1") is None
    assert provider_id("house", kind="anthropic") == "anthropic"
    assert provider_id("house", kind="gemini") == "google"
    assert provider_id("house", kind="azure", url="https://house.openai.azure.com") == "azure"
    named = PriceList(providers={"house": "anthropic"})
    assert named.canonical_model("house", "claude-3-5-sonnet-20241022") is not None


def model_with(*prices: ConditionalPrice) -> ModelInfo:
    return ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=list(prices))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_prices_that_change_with_time_say_until_when_they_hold() -> None:
    info = model_with(
        ConditionalPrice(prices=ModelPrice(input_mtok=Decimal(1))),
        ConditionalPrice(StartDateConstraint(at("2026-03-01").date()), prices=ModelPrice(input_mtok=Decimal(2))),
        ConditionalPrice(
            TimeOfDateConstraint(at("2026-01-01 16:30").timetz(), at("2026-01-01 00:30").timetz()),
            prices=ModelPrice(input_mtok=Decimal("0.5")),
        ),
    )

    def told(moment: str) -> tuple[Decimal, datetime]:
        tariff = tariff_at(info, at(moment))
        assert tariff is not None
        return tariff.steps[0][1].input, datetime.fromtimestamp(tariff.until, UTC)

    assert told("2026-02-28 12:00") == (Decimal(1), at("2026-02-28 16:30"))
    assert told("2026-02-28 16:30") == (Decimal("0.5"), at("2026-03-01 00:00"))
    assert told("2026-03-01 00:29") == (Decimal("0.5"), at("2026-03-01 00:30"))
    assert told("2026-03-01 00:30") == (Decimal(2), at("2026-03-01 16:30"))


def test_a_price_renews_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("tallygate.pricing.time.time", lambda: now)
    later = Tariff(((-1, Rates(Decimal(3), Decimal(0))),), math.inf)
    price = Price(Tariff(((-1, Rates(Decimal(1), Decimal(0))),), until=2000.0), lambda: later)
    assert price.cost(1, 0) == 100_000
    now = 1999.9
    assert price.cost(1, 0) == 100_000
    now = 2000.0
    assert price.cost(1, 0) == 300_000


def test_a_fee_per_request_is_paid_once() -> None:
    info = ModelInfo(
        id="m",
        match=ClauseEquals(equals="m"),
        prices=ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(1), requests_kcount=Decimal(5)),
    )
    tariff = tariff_at(info, at("2026-01-01"))
    assert tariff is not None
    assert Price(tariff).cost(10, 10) == 500_000_000 + 2_000_000


def test_a_model_not_sold_by_the_token_has_a_name_and_no_price(monkeypatch: pytest.MonkeyPatch) -> None:
    info = ModelInfo(id="m", match=ClauseEquals(equals="m"), prices=ModelPrice(audio_hours=Decimal(1)))
    monkeypatch.setattr(catalogue, "_named", lambda sellers, model: info)
    known = find("openai", "m")
    assert known is not None
    assert known.tariff() is None
    prices = PriceList()
    assert prices.price_of("openai", "m") is None
    assert prices.canonical_model("openai", "m") == "m"
