"""What a page shows, to the last digit, for known records."""

from __future__ import annotations

import sys
import threading
from decimal import Decimal

import pytest

from tallygate.dialects import Dialect, DialectError
from tallygate.dialects.families import Computed, Counter, Gauge, Histogram, Info, StateSet, split
from tallygate.facts import BuildInfo, CacheLookup, LLMCall, LLMInFlight, Process

from .fakes import FakeFamily, FakeLedger, samples

by_model = (LLMCall.model,)
GPT, SONNET = {"provider": "openai", "model": "gpt"}, {"provider": "anthropic", "model": "sonnet"}


def ledger(dialect: Dialect, *facts: type, custom: tuple[str, ...] = ()) -> FakeLedger:
    return FakeLedger(*(facts or (LLMCall,)), dialects=[dialect], custom=custom)


def test_rows_that_differ_in_other_dimensions_add_up_in_one_series() -> None:
    dialect = Dialect("d", Counter("calls_total", LLMCall.count, by=by_model))
    store = ledger(dialect)
    for stream in ("true", "false", "false"):
        store.record(LLMCall, GPT | {"stream": stream})
    store.record(LLMCall, SONNET)
    assert samples(store.plan(dialect)) == {'calls_total{model="gpt"}': 3, 'calls_total{model="sonnet"}': 1}


def test_a_scrape_takes_in_rows_made_since_the_last_one() -> None:
    dialect = Dialect("d", Counter("calls_total", LLMCall.count, by=by_model))
    store = ledger(dialect)
    plan = store.plan(dialect)
    assert samples(plan) == {}
    store.record(LLMCall, GPT)
    assert samples(plan) == {'calls_total{model="gpt"}': 1}
    store.record(LLMCall, GPT)
    store.record(LLMCall, GPT | {"stream": "true"})
    store.record(LLMCall, SONNET)
    assert samples(plan) == {'calls_total{model="gpt"}': 3, 'calls_total{model="sonnet"}': 1}
    assert samples(plan) == {'calls_total{model="gpt"}': 3, 'calls_total{model="sonnet"}': 1}


def test_sums_of_measures_and_of_distributions() -> None:
    dialect = Dialect(
        "d",
        Counter("tokens_total", LLMCall.input_tokens + LLMCall.output_tokens, by=by_model),
        Counter("output_tokens_total", LLMCall.output_tokens, by=by_model),
    )
    store = ledger(dialect)
    store.record(LLMCall, GPT, input_tokens=150, output_tokens=50)
    store.record(LLMCall, GPT, input_tokens=7)
    assert samples(store.plan(dialect)) == {
        'tokens_total{model="gpt"}': 207,
        'output_tokens_total{model="gpt"}': 50,
    }


def test_split_tells_measures_apart() -> None:
    dialect = Dialect(
        "d",
        Counter("tokens_total", split("type", input=LLMCall.input_tokens, output=LLMCall.output_tokens), by=by_model),
        Counter("all_tokens_total", split("type", input=LLMCall.input_tokens, output=LLMCall.output_tokens)),
    )
    store = ledger(dialect)
    store.record(LLMCall, GPT, input_tokens=150, output_tokens=50)
    assert samples(store.plan(dialect)) == {
        'tokens_total{model="gpt",type="input"}': 150,
        'tokens_total{model="gpt",type="output"}': 50,
        'all_tokens_total{type="input"}': 150,
        'all_tokens_total{type="output"}': 50,
    }


@pytest.mark.parametrize(
    ("factor", "exponent", "scale", "rendered_factor"),
    [(1, -11, 0, None), (100, -9, 2, None), (1000, -8, 3, None), (Decimal("0.01"), -13, -2, None), (60, -11, 0, 60.0)],
)
def test_factors_of_ten_are_shifts(
    factor: int | Decimal, exponent: int, scale: int, rendered_factor: float | None
) -> None:
    dialect = Dialect("d", Counter("cost_total", LLMCall.cost * factor))
    with ledger(dialect).plan(dialect).reading() as page:
        family = page.families[0]
        assert (family.exponent, family.scale, family.factor) == (exponent, scale, rendered_factor)


def test_cents_keep_their_fractions() -> None:
    dialect = Dialect("d", Counter("cost_usd_total", LLMCall.cost * 100, by=by_model))
    store = ledger(dialect)
    store.record(LLMCall, GPT, cost=250_000_000)  # 0.0025 USD
    assert samples(store.plan(dialect)) == {'cost_usd_total{model="gpt"}': Decimal("0.25")}


def test_a_histogram_is_a_coarsening_of_what_all_dialects_ask_for() -> None:
    mine = Dialect("mine", Histogram("latency_ms", LLMCall.duration * 1000, by=by_model, buckets=(100, 2.5e3)))
    other = Dialect("other", Histogram("latency_seconds", LLMCall.duration, buckets=(0.1, 0.5, 1, 2)))
    store = FakeLedger(LLMCall, dialects=[mine, other])
    assert store[LLMCall].schema.measures[0].boundaries == (1_000_000, 5_000_000, 10_000_000, 20_000_000, 25_000_000)
    for tenths_of_a_second in (1, 3, 24, 90):
        store.record(LLMCall, GPT, duration=tenths_of_a_second * 1_000_000)
    assert samples(store.plan(mine)) == {
        'latency_ms_bucket{model="gpt",le="100"}': 1,
        'latency_ms_bucket{model="gpt",le="2500"}': 3,
        'latency_ms_bucket{model="gpt",le="+Inf"}': 4,
        'latency_ms_sum{model="gpt"}': 11800,
        'latency_ms_count{model="gpt"}': 4,
    }
    assert samples(store.plan(other)) == {
        'latency_seconds_bucket{le="0.1"}': 1,
        'latency_seconds_bucket{le="0.5"}': 2,
        'latency_seconds_bucket{le="1"}': 2,
        'latency_seconds_bucket{le="2"}': 2,
        'latency_seconds_bucket{le="+Inf"}': 4,
        "latency_seconds_sum{}": Decimal("11.8"),
        "latency_seconds_count{}": 4,
    }


def test_distributions_of_one_family_share_their_buckets() -> None:
    both = split("type", input=LLMCall.input_tokens, output=LLMCall.output_tokens)
    dialect = Dialect(
        "d",
        Histogram("usage", both, buckets=(1, 4)),
        Histogram("input_tokens", LLMCall.input_tokens, buckets=(10,)),
    )
    store = ledger(dialect)
    store.record(LLMCall, GPT, input_tokens=9, output_tokens=3)
    shown = samples(store.plan(dialect), "usage")
    assert {name: value for name, value in shown.items() if "bucket" in name} == {
        'usage_bucket{type="input",le="1"}': 0,
        'usage_bucket{type="input",le="4"}': 0,
        'usage_bucket{type="input",le="+Inf"}': 1,
        'usage_bucket{type="output",le="1"}': 0,
        'usage_bucket{type="output",le="4"}': 1,
        'usage_bucket{type="output",le="+Inf"}': 1,
    }


def test_gauges_come_from_the_combined_slots_of_their_table() -> None:
    dialect = Dialect(
        "d",
        Gauge("active", LLMInFlight.now, by=(LLMInFlight.model,)),
        Gauge("max_fds", Process.max_fds),
        Counter("calls_total", LLMCall.count),
        Gauge("start_time_seconds", Process.start_time),
    )
    store = ledger(dialect, LLMInFlight, Process, LLMCall)
    store.record(LLMCall, GPT)
    flying = store[LLMInFlight]
    for stream, now in (("true", 3), ("false", 2)):
        flying.set(flying.row("openai", "gpt", "", "", stream), "now", now)
    process = store[Process]
    process.set(process.row(), "max_fds", 1024)
    process.set(process.row(), "start_time", 1_700_000_000_500_000)
    plan = store.plan(dialect)
    assert samples(plan) == {
        'active{model="gpt"}': 5,
        "max_fds{}": 1024,
        "calls_total{}": 1,
        "start_time_seconds{}": Decimal("1700000000.5"),
    }
    with plan.reading() as page:
        assert [family.combine for family in page.families] == ["sum", "min", "sum", "min"]


def test_an_info_shows_what_holds_in_a_live_worker() -> None:
    dialect = Dialect("d", Info("build_info", BuildInfo.present, by=(BuildInfo.version,)))
    store = ledger(dialect, BuildInfo)
    table = store[BuildInfo]
    old, new = (table.row(version, "3.11", "native", "", "", "") for version in ("0.1", "0.2"))
    plan = store.plan(dialect)
    assert samples(plan) == {}
    table.set(old, "present", 1)
    assert samples(plan) == {'build_info{version="0.1"}': "1"}
    table.set(old, "present", 0)
    table.set(new, "present", 1)
    assert samples(plan) == {'build_info{version="0.2"}': "1"}


def test_a_state_set_has_a_series_per_state() -> None:
    labels = (BuildInfo.version,)
    dialect = Dialect("d", StateSet("core", BuildInfo.present, by=labels, state=BuildInfo.ledger.from_zero()))
    store = ledger(dialect, BuildInfo)
    table = store[BuildInfo]
    table.set(table.row("0.1", "3.11", "python", "", "", ""), "present", 1)
    assert samples(store.plan(dialect)) == {
        'core{version="0.1",core="native"}': 0,
        'core{version="0.1",core="python"}': 1,
    }


def test_the_overflow_row_shows_once_it_counts() -> None:
    dialect = Dialect("d", Counter("calls_total", LLMCall.count, by=by_model))
    store = ledger(dialect)
    plan = store.plan(dialect)
    store.record(LLMCall, GPT)
    assert samples(plan) == {'calls_total{model="gpt"}': 1}
    table = store[LLMCall]
    table.record(table.rows()[0])
    assert samples(plan) == {'calls_total{model="gpt"}': 1, 'calls_total{model="other"}': 1}
    store.record(LLMCall, GPT)
    assert samples(plan) == {'calls_total{model="gpt"}': 2, 'calls_total{model="other"}': 1}


def test_the_overflow_row_of_a_gauge_shows_once_it_is_not_zero() -> None:
    dialect = Dialect("d", Gauge("active", LLMInFlight.now, by=(LLMInFlight.model,)))
    store = ledger(dialect, LLMInFlight)
    plan = store.plan(dialect)
    assert samples(plan) == {}
    table = store[LLMInFlight]
    table.set(table.rows()[0], "now", 2)
    assert samples(plan) == {'active{model="other"}': 2}
    table.set(table.rows()[0], "now", 0)
    assert samples(plan) == {'active{model="other"}': 0}


def test_computed_values_are_asked_for_once_per_page() -> None:
    dialect = Dialect(
        "d", Gauge("rows", Computed("rows")), Counter("lost_total", Computed("lost")), Gauge("gone", Computed("gone"))
    )
    asked: list[int] = []

    def computed() -> dict[str, int | float]:
        asked.append(len(asked))
        return {"rows": 10 + len(asked), "lost": 0.5}

    plan = ledger(dialect).plan(dialect, computed=computed)
    assert samples(plan) == {"rows{}": "11", "lost_total{}": "0.5"}
    assert samples(plan) == {"rows{}": "12", "lost_total{}": "0.5"}
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("names", "families"),
    [
        ((), ["calls_total", "latency_seconds"]),
        (("calls_total",), ["calls_total"]),
        (("calls",), ["calls_total"]),
        (("latency_seconds_bucket", "nothing"), ["latency_seconds"]),
        (("latency_seconds_count", "calls_total"), ["calls_total", "latency_seconds"]),
        (("latency",), []),
    ],
)
def test_names_choose_families(names: tuple[str, ...], families: list[str]) -> None:
    dialect = Dialect(
        "d", Counter("calls_total", LLMCall.count), Histogram("latency_seconds", LLMCall.duration, buckets=(1,))
    )
    with ledger(dialect).plan(dialect).reading(names) as page:
        assert [family.name for family in page.families] == families


def test_two_dialects_on_one_page_show_what_they_share_once() -> None:
    cpu = Gauge("process_max_fds", Process.max_fds)
    one = Dialect("one", cpu, Counter("one_total", LLMCall.count))
    two = Dialect("two", Counter("two_total", LLMCall.count), Gauge("process_max_fds", Process.max_fds))
    store = FakeLedger(LLMCall, Process, dialects=[one, two])
    assert store.plan(one, two).name == "one+two"
    with store.plan(one, two).reading() as page:
        assert [family.name for family in page.families] == ["process_max_fds", "one_total", "two_total"]


def test_a_ledger_made_for_other_buckets_is_an_error() -> None:
    mine = Dialect("mine", Histogram("latency_seconds", LLMCall.duration, buckets=(0.1, 3)))
    other = Dialect("other", Histogram("latency_seconds", LLMCall.duration, buckets=(0.1, 1)))
    store = FakeLedger(LLMCall, dialects=[other])
    with pytest.raises(DialectError, match="'mine', family 'latency_seconds': the table 'LLMCall' lacks"):
        store.plan(mine)
    with pytest.raises(DialectError, match="no table for CacheLookup"):
        store.plan(Dialect("caches", Counter("lookups_total", CacheLookup.count)))


def test_concurrent_pages_take_every_row_in_once() -> None:
    dialect = Dialect("d", Counter("calls_total", LLMCall.count), Histogram("h", LLMCall.duration, buckets=(1,)))
    store = ledger(dialect)
    for number in range(500):
        store.record(LLMCall, {"model": f"m{number}"}, duration=1)
    plan = store.plan(dialect)
    pages: list[dict[str, Decimal | str]] = []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        threads = [threading.Thread(target=lambda: pages.append(samples(plan))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    counted = {(page["calls_total{}"], page["h_count{}"]) for page in pages}
    assert (len(pages), counted) == (8, {(Decimal(500), Decimal(500))})


def test_help_and_unit_default_to_the_measure_s() -> None:
    dialect = Dialect(
        "d",
        Histogram("latency_seconds", LLMCall.duration, buckets=(1,)),
        Histogram("latency_ms", LLMCall.duration * 1000, buckets=(1,)),
        Counter("spent_usd_total", LLMCall.cost, help="Money"),
    )
    with ledger(dialect).plan(dialect).reading() as page:
        shown: list[FakeFamily] = list(page.families)
    assert [(family.type, family.help, family.unit) for family in shown] == [
        ("histogram", "dispatch to last byte", "seconds"),
        ("histogram", "dispatch to last byte", ""),
        ("counter", "Money", "usd"),
    ]


class SteppingClock:
    """Stands for the time module: every look at the clock takes 0.1 ms, sleeping is written down."""

    def __init__(self) -> None:
        self.now, self.slept = 0.0, [0.0]

    def perf_counter(self) -> float:
        self.now += 0.0001
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_many_new_rows_leave_the_interpreter_to_others_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    dialect = Dialect("d", Counter("calls_total", LLMCall.count))
    store = ledger(dialect)
    for number in range(100):
        store.record(LLMCall, {"model": f"m{number}"})
    plan = store.plan(dialect)
    clock = SteppingClock()
    monkeypatch.setattr("tallygate.dialects.reader.time", clock)
    assert samples(plan) == {"calls_total{}": 100}
    assert len(clock.slept) > 100 * 0.0001 / 0.001
    assert max(clock.slept) < 0.001
    clock.slept.clear()
    samples(plan)
    assert clock.slept == []


def test_after_a_page_that_failed_no_row_lacks_and_none_counts_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    dialect = Dialect("d", Counter("calls_total", LLMCall.count), Counter("cost_total", LLMCall.cost))
    store = ledger(dialect)
    store.record(LLMCall, GPT, cost=10**11)
    store.record(LLMCall, SONNET, cost=10**11)
    plan = store.plan(dialect)
    add, calls = FakeFamily.add, []

    def failing(self: FakeFamily, series: int, buffer: int, cell: int, /) -> None:
        calls.append(cell)
        if len(calls) == 4:
            raise MemoryError
        add(self, series, buffer, cell)

    monkeypatch.setattr(FakeFamily, "add", failing)
    with pytest.raises(MemoryError), plan.reading():
        pass
    store.record(LLMCall, GPT, cost=10**11)
    assert samples(plan) == {"calls_total{}": 3, "cost_total{}": 3}
