"""The bridge with prometheus_client: its registry on our page, our tally in its registry, read by its own parsers."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.openmetrics import exposition, parser
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tallygate import Tally, instrument
from tallygate.dialects import DIALECTS, UnknownDialect
from tallygate.exposition.sources import NameClash
from tallygate.instrument.support.registries import TallyCollector, metrics_of
from tallygate.record.default import default
from tests.record.reading import dropped

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
generate_openmetrics: Callable[[CollectorRegistry], bytes] = exposition.generate_latest
parse_openmetrics: Callable[[str], Iterable[Metric]] = parser.text_string_to_metric_families
FORMATS: dict[str, Callable[[str], Iterable[Metric]]] = {"text": parse_text, "openmetrics": parse_openmetrics}


@pytest.fixture
def tally() -> Iterator[Tally]:
    tally = Tally(capacity_bytes=16 << 20, exemplar=lambda: (TRACE, SPAN))
    yield tally
    tally.close()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry(auto_describe=True)


def call(tally: Tally, model: str = "gpt-4o-mini") -> None:
    with tally.track_llm_call("openai", model, route='a "quoted"\\path\n') as tracker:
        tracker.usage(input_tokens=1200, output_tokens=150)


def families(page: bytes, format: str = "openmetrics") -> dict[str, Metric]:
    """By name; each is there once."""
    found = list(FORMATS[format](page.decode()))
    assert len({metric.name for metric in found}) == len(found)
    return {metric.name: metric for metric in found}


def promtool(page: bytes) -> str:
    """What it says of a page in the text format, other than of style; it fails where the page is not valid."""
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, timeout=60, check=False)
    said = done.stderr.decode() + done.stdout.decode()
    assert done.returncode in (0, 3), said  # 3: it is about style
    return said


# Ours in theirs


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_our_pages_are_read_as_their_parser_reads_them(tally: Tally, dialect: str) -> None:
    call(tally)
    call(tally, 'odd,} "\\\\n\x85\u2028\r # {a="b"} 1 2.5')
    tally.provider_info(provider="openai", kind="openai")
    tally.set_mcp_server_state("files", "running")
    tally.http_request(method="GET", route="/a", status_code=200, seconds=0.2)
    page = tally.render([dialect], "openmetrics").decode()
    ours, theirs = list(metrics_of(page)), list(parse_openmetrics(page))
    assert len(ours) > 5
    assert ours == theirs


def test_a_registry_shows_what_a_tally_counts(tally: Tally, registry: CollectorRegistry) -> None:
    handle = instrument.prometheus_client(registry, on_our_page=False, tally=tally)
    call(tally)
    own = {"provider": "openai", "model": "gpt-4o-mini"}
    page = families(generate_openmetrics(registry))
    samples = page["tallygate_llm_tokens"].samples
    (tokens,) = [sample for sample in samples if sample.labels.get("type") == "input"]
    assert tokens.name == "tallygate_llm_tokens_total"
    assert tokens.value == 1200
    assert tokens.labels["route"] == 'a "quoted"\\path\n'
    assert own.items() <= tokens.labels.items()
    duration = page["tallygate_llm_call_duration_seconds"]
    assert (duration.type, duration.unit) == ("histogram", "seconds")
    (traced,) = [sample.exemplar for sample in duration.samples if sample.exemplar]
    assert traced.labels == {"trace_id": TRACE, "span_id": SPAN}
    assert page["tallygate_build"].type == "info"
    assert registry.get_sample_value("tallygate_llm_tokens_total", tokens.labels) == 1200
    text = generate_latest(registry)
    assert families(text, "text")["tallygate_llm_tokens"].type == "counter"
    assert "error" not in promtool(text)
    handle.remove()
    assert generate_latest(registry) == b""


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_a_registry_shows_any_dialect(tally: Tally, registry: CollectorRegistry, dialect: str) -> None:
    call(tally)
    collector = TallyCollector([dialect], tally=tally)
    described = {metric.name: metric.type for metric in collector.describe()}
    registry.register(collector)
    assert {name: metric.type for name, metric in families(generate_openmetrics(registry)).items()} == {
        metric.name: metric.type for metric in parse_openmetrics(tally.render([dialect], "openmetrics").decode())
    }
    assert described.keys() >= {metric.name for metric in collector.collect()}
    promtool(generate_latest(registry))


def test_only_the_names_asked_for(tally: Tally, registry: CollectorRegistry) -> None:
    call(tally)
    registry.register(TallyCollector(tally=tally))
    page = generate_latest(registry.restricted_registry(["tallygate_llm_calls_total"]))
    assert {metric.name for metric in parse_text(page.decode())} == {"tallygate_llm_calls"}


def test_a_dialect_that_is_not_there(tally: Tally, registry: CollectorRegistry) -> None:
    with pytest.raises(UnknownDialect, match="no dialect is called 'graphite'"):
        instrument.prometheus_client(registry, dialects=["graphite"], tally=tally)


def test_a_name_that_the_registry_has(tally: Tally, registry: CollectorRegistry) -> None:
    prometheus_client.Gauge("aurora_requests", "theirs", registry=registry)
    expected = (
        "^the registry has 'aurora_requests' already, a name of our 'aurora_requests_total'; "
        "rename the other metric, choose dialects= without it, or remove the bridge that is there$"
    )
    before = generate_latest(registry)
    with pytest.raises(NameClash, match=expected):
        instrument.prometheus_client(registry, dialects=["aurora"], tally=tally)
    assert generate_latest(registry) == before
    assert tally.sources == ()


def test_before_init_the_registry_has_nothing_of_ours(registry: CollectorRegistry, tally: Tally) -> None:
    before = default.recorder
    with instrument.prometheus_client(registry):
        assert generate_latest(registry) == b""
        default.recorder = tally
        try:
            prometheus_client.Counter("late", "Theirs", registry=registry).inc()
            call(tally)
            assert families(generate_openmetrics(registry)).keys() > {"tallygate_llm_calls", "late"}
            assert families(tally.render(format="openmetrics")).keys() > {"tallygate_llm_calls", "late"}
        finally:
            default.recorder = before
    assert default.sources == ()


# Theirs on ours


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_our_page_shows_a_registry(tally: Tally, registry: CollectorRegistry, format: str) -> None:
    prometheus_client.Counter("jobs", "Jobs", ["kind"], registry=registry).labels('"odd"').inc(3)
    prometheus_client.Gauge("depth", "Depth", registry=registry).set(2.5)
    prometheus_client.Histogram("wait_seconds", "Wait", registry=registry, buckets=(1, 2)).observe(1.5, {"id": "x"})
    prometheus_client.Summary("size_bytes", "Size", registry=registry).observe(7)
    prometheus_client.Info("release", "Release", registry=registry).info({"version": "9"})
    prometheus_client.Enum("mode", "Mode", states=["on", "off"], registry=registry).state("off")
    call(tally)
    without = tally.render(format=format)
    with instrument.prometheus_client(registry, in_registry=False, tally=tally):
        page = tally.render(format=format)
        shown = families(page, format)
        assert page.count(b"# EOF") == (format == "openmetrics")
        assert shown["jobs"].samples[0][:3] == ("jobs_total", {"kind": '"odd"'}, 3.0)
        assert shown["depth"].samples[0].value == 2.5
        assert [s.value for s in shown["wait_seconds"].samples if s.name == "wait_seconds_bucket"] == [0, 1, 1]
        assert [s.value for s in shown["size_bytes"].samples if s.name == "size_bytes_sum"] == [7]
        assert "tallygate_llm_tokens" in shown
        if format == "openmetrics":
            (traced,) = [s.exemplar for s in shown["wait_seconds"].samples if s.exemplar]
            assert (traced.labels, traced.value) == ({"id": "x"}, 1.5)
            assert (shown["release"].type, shown["mode"].type) == ("info", "stateset")
        else:
            assert "error" not in promtool(page)
    assert families(tally.render(format=format), format).keys() == families(without, format).keys()
    assert dropped(tally) == {}


def test_only_the_names_asked_for_of_theirs(tally: Tally, registry: CollectorRegistry) -> None:
    prometheus_client.Counter("jobs", "Jobs", registry=registry)
    prometheus_client.Gauge("depth", "Depth", registry=registry)
    with instrument.prometheus_client(registry, in_registry=False, tally=tally):
        page = tally.render(names={"jobs_total"})
        assert families(page, "text").keys() >= {"jobs"}
        assert not families(page, "text").keys() & {"depth", "tallygate_llm_calls"}
        assert not tally.render(names={"nothing_total"})


def test_a_name_that_our_page_has(tally: Tally, registry: CollectorRegistry) -> None:
    prometheus_client.Counter("tallygate_llm_calls", "Theirs", registry=registry)
    expected = (
        "^'tallygate_llm_calls' is a name of 'tallygate_llm_calls_total' in dialect 'tallygate' already; "
        "rename the other metric, or serve another dialect by default$"
    )
    with pytest.raises(NameClash, match=expected):
        instrument.prometheus_client(registry, in_registry=False, tally=tally)
    assert tally.sources == ()


def test_the_same_registry_twice(tally: Tally, registry: CollectorRegistry) -> None:
    prometheus_client.Gauge("depth", "Depth", registry=registry)
    with (
        instrument.prometheus_client(registry, in_registry=False, tally=tally),
        pytest.raises(NameClash, match=r"^'depth' is a name of another source already; "),
    ):
        instrument.prometheus_client(registry, tally=tally)
    assert generate_latest(registry).startswith(b"# HELP depth")
    assert b"tallygate" not in generate_latest(registry)


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_a_name_that_turns_up_later_is_left_out_and_counted(
    tally: Tally, registry: CollectorRegistry, format: str
) -> None:
    prometheus_client.Gauge("depth", "Depth", registry=registry)
    with instrument.prometheus_client(registry, in_registry=False, tally=tally):
        prometheus_client.Counter("tallygate_llm_calls", "Theirs", registry=registry)
        prometheus_client.Gauge("later", "Theirs", registry=registry)
        call(tally)
        shown = families(tally.render(format=format), format)
        assert shown["tallygate_llm_calls"].samples[0].labels["model"] == "gpt-4o-mini"
        assert {"depth", "later"} <= shown.keys()
        assert dropped(tally) == {("Scrape", "name_clash"): 1}
        tally.render(["aurora"], format)
        assert dropped(tally) == {("Scrape", "name_clash"): 1}


class Custom:
    """A collector that describes nothing."""

    def __init__(self, *metrics: Metric | Exception) -> None:
        self.metrics = metrics

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for metric in self.metrics:
            if isinstance(metric, Exception):
                raise metric
            yield metric


def test_a_family_that_a_registry_has_twice_is_shown_once(tally: Tally, registry: CollectorRegistry) -> None:
    registry.register(Custom(GaugeMetricFamily("depth", "One", value=1), GaugeMetricFamily("depth", "Two", value=2)))
    registry.register(Custom(CounterMetricFamily("depth", "Three", value=3)))
    with instrument.prometheus_client(registry, in_registry=False, tally=tally):
        assert [s.value for s in families(tally.render(), "text")["depth"].samples] == [1]
    assert dropped(tally) == {("Scrape", "name_clash"): 2}


@pytest.mark.parametrize("format", sorted(FORMATS))
def test_names_that_are_written_alike_are_one(tally: Tally, registry: CollectorRegistry, format: str) -> None:
    """As prometheus_client writes them for a scraper that does not take dots."""
    registry.register(
        Custom(GaugeMetricFamily("my.depth", "One", value=1), GaugeMetricFamily("my_depth", "2", value=2))
    )
    with instrument.prometheus_client(registry, in_registry=False, tally=tally):
        assert [s.value for s in families(tally.render(format=format), format)["my_depth"].samples] == [1]
    assert dropped(tally) == {("Scrape", "name_clash"): 1}


def test_times_of_samples_are_kept(tally: Tally, registry: CollectorRegistry) -> None:
    depth = GaugeMetricFamily("depth", "At a time", labels=())
    depth.add_metric((), 4, timestamp=1700000000.5)
    registry.register(Custom(depth))
    with instrument.prometheus_client(registry, in_registry=False, tally=tally):
        assert b"\ndepth 4.0 1700000000500\n" in tally.render()
        assert b"\ndepth 4.0 1700000000.5\n" in tally.render(format="openmetrics")


def test_a_collector_that_fails_is_counted(tally: Tally, registry: CollectorRegistry) -> None:
    registry.register(Custom(GaugeMetricFamily("depth", "One", value=1), OSError("no such device")))
    with instrument.prometheus_client(registry, in_registry=False, tally=tally):
        shown = families(tally.render(format="openmetrics"))
    assert {"depth", "tallygate_llm_calls"} <= shown.keys()
    assert dropped(tally) == {("Scrape", "internal"): 1}


def test_a_disabled_tally_shows_nothing(registry: CollectorRegistry) -> None:
    prometheus_client.Gauge("depth", "Depth", registry=registry)
    tally = Tally(enabled=False)
    with instrument.prometheus_client(registry, tally=tally):
        assert tally.render() == b""
        assert {metric.name for metric in registry.collect()} == {"depth"}


# Both ways


def test_both_ways_nothing_is_repeated(tally: Tally, registry: CollectorRegistry) -> None:
    prometheus_client.Gauge("depth", "Depth", registry=registry)
    with instrument.prometheus_client(registry, tally=tally):
        call(tally)
        ours, theirs = families(tally.render(format="openmetrics")), families(generate_openmetrics(registry))
        assert ours.keys() == theirs.keys() > {"depth", "tallygate_llm_calls"}
        assert ours["tallygate_llm_calls"].samples == theirs["tallygate_llm_calls"].samples
    assert dropped(tally) == {}


def test_pages_made_at_the_same_time_by_both_are_whole(tally: Tally, registry: CollectorRegistry) -> None:
    """One that is being made in a thread does not leave ours out of the other's."""
    reached, go_on = threading.Event(), threading.Event()

    class Slow(Custom):
        def collect(self) -> Iterator[Metric]:
            if threading.current_thread() is thread:
                reached.set()
                go_on.wait()
            yield GaugeMetricFamily("depth", "One", value=1)

    registry.register(Slow())
    thread = threading.Thread(target=tally.render)
    with instrument.prometheus_client(registry, tally=tally):
        thread.start()
        reached.wait()
        try:
            assert b"tallygate_llm_calls_total" in generate_latest(registry)
        finally:
            go_on.set()
            thread.join()


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_the_default_registry_both_ways(dialect: str) -> None:
    """Its collectors of process, collector and platform are shown where ours are not."""
    tally = Tally(dialects=[dialect], capacity_bytes=16 << 20)
    own = {metric.name for metric in parse_text(tally.render().decode())}
    try:
        with instrument.prometheus_client(tally=tally):
            for page in (tally.render(), generate_latest()):
                shown = families(page, "text")
                assert {"python_info", "python_gc_collections", "process_open_fds", *own} <= shown.keys()
                promtool(page)
            assert dropped(tally) == {}
            (threads,) = families(generate_latest(), "text")["process_open_fds"].samples
            assert threads.value > 0
    finally:
        tally.close()


MULTIPROCESS = """
import os, prometheus_client, tallygate
from prometheus_client import CollectorRegistry, generate_latest, multiprocess
from tallygate import instrument
from tallygate.instrument.support.registries import TallyCollector

jobs = prometheus_client.Counter("jobs", "Jobs")
tally = tallygate.init(path=os.path.abspath("ledger"), capacity_bytes=16 << 20, implementation="native")
instrument.prometheus_client(in_registry=False)
if (child := os.fork()) == 0:
    jobs.inc(2)
    tally.http_request(method="GET", route="/a", status_code=200, seconds=0.1)
    os._exit(0)
os.waitpid(child, 0)
jobs.inc(1)
tally.http_request(method="GET", route="/a", status_code=200, seconds=0.1)
registry = CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
registry.register(TallyCollector())
for page in (tallygate.render(), generate_latest(registry)):
    for line in page.decode().splitlines():
        if line.startswith(("jobs_total", "tallygate_http_requests_total")):
            print(line)
"""


def test_multiprocess_mode(tmp_path: Path) -> None:
    """Both count over all processes, on both pages."""
    files = tmp_path / "files"
    files.mkdir()
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", MULTIPROCESS],
        cwd=tmp_path,
        env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(files)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    told = sorted(tuple(line.rpartition(" ")[::2]) for line in done.stdout.splitlines())
    requests = 'tallygate_http_requests_total{method="GET",route="/a",status_code="200"}'
    assert [(name, float(value)) for name, value in told] == [("jobs_total", 3.0)] * 2 + [(requests, 2.0)] * 2
