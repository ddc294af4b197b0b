"""The demo: real parts, true numbers, an end by itself."""

import json
import re
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from tallygate.demo import running
from tallygate.demo.page import MetricsPage
from tallygate.demo.summary import line, summary
from tallygate.gateway.server import StartError
from tests.cli.running import line_with, started, tallygate

PAGE = """\
# HELP tallygate_llm_calls_total Calls
# TYPE tallygate_llm_calls_total counter
tallygate_llm_calls_total{provider="a",outcome="completed"} 1200
tallygate_llm_calls_total{provider="b",outcome="failed"} 3
tallygate_llm_calls_total{provider="b",outcome="cancelled"} 0
tallygate_llm_calls_in_flight{provider="a"} 2
tallygate_llm_tokens_total{provider="a",type="input"} 5000
tallygate_llm_tokens_total{provider="a",type="output"} 700
tallygate_llm_cost_usd_total{provider="a"} 0.0123
tallygate_llm_errors_total{provider="b",error_type="provider_timeout"} 3
tallygate_llm_errors_total{provider="b",error_type="other"} 0
tallygate_llm_call_duration_seconds_bucket{provider="a",le="1"} 50
tallygate_llm_call_duration_seconds_bucket{provider="a",le="2"} 90
tallygate_llm_call_duration_seconds_bucket{provider="a",le="+Inf"} 100
odd{text="a\\"b\\\\c\\nd}",x="1,2"} 7.5e-3
"""


def test_a_page_is_read_back() -> None:
    page = MetricsPage(PAGE)
    (odd,) = page.samples("odd")
    assert (odd.labels, odd.value) == ({"text": 'a"b\\c\nd}', "x": "1,2"}, 0.0075)
    assert page.total("tallygate_llm_calls_total") == 1203
    assert page.total("tallygate_llm_calls_total", provider="b") == 3
    assert page.total("nothing") == 0
    assert page.by("outcome", "tallygate_llm_calls_total") == {"completed": 1200, "failed": 3}


def test_quantiles_are_those_of_prometheus() -> None:
    page = MetricsPage(PAGE)
    name = "tallygate_llm_call_duration_seconds"
    assert page.quantile(0.25, name) == 0.5
    assert page.quantile(0.7, name) == 1.5
    assert page.quantile(0.99, name) == 2
    assert page.quantile(0.5, "nothing") is None


def test_the_summary() -> None:
    names = ("requests", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    served = {"totals": dict.fromkeys(names, 4)}
    assert summary(MetricsPage(PAGE), served, 10).splitlines() == [
        "in 10 s                     /metrics    provider",
        "requests                       1,203           4",
        "  completed                    1,200",
        "  failed                           3",
        "tokens",
        "  input                        5,000           4",
        "  output                         700           4",
        "  cache read                       0           4",
        "  cache write                      0           4",
        "  reasoning                        0           4",
        "cost                       $0.012300",
        "  a                        $0.012300",
        "errors",
        "  provider_timeout                 3",
        "seconds                          p50         p95         p99",
        "  latency                     1.0000      2.0000      2.0000",
        "  time to first token              -           -           -",
        "  gateway overhead                 -           -           -",
    ]
    assert line(MetricsPage(PAGE)) == "1,203 calls, 3 failed, 2 in flight, 5,700 tokens, $0.0123"


def test_the_demo_ends_by_itself_with_true_numbers(tmp_path: Path) -> None:
    ended = tallygate(tmp_path, "demo", "--for", "3", "--port", "0", "--rate", "40")
    assert (ended.status, ended.err) == (0, "")
    gateway = re.search(r"^gateway +(http://127\.0\.0\.1:\d+) ", ended.out, re.MULTILINE)
    assert gateway is not None
    for dialect in ("tallygate", "otel", "aurora", "hyperagent", "archestra"):
        assert f"{gateway[1]}/metrics?dialect={dialect}\n" in ended.out
    rows = {row[:24].strip(): row[24:].split() for row in ended.out.partition("\nin 3 s")[2].splitlines()}
    assert int(rows["requests"][0].replace(",", "")) > 30
    for row in ("requests", "input", "output", "cache read", "cache write", "reasoning"):
        ours, theirs = rows[row]
        assert ours == theirs, row
    assert float(rows["cost"][0].strip("$")) > 0
    assert len(rows["latency"]) == len(rows["time to first token"]) == 3


def test_the_demo_runs_until_interrupted(tmp_path: Path) -> None:
    with started(tmp_path, "demo", "--port", "0") as process:
        url = line_with(process.stdout, "gateway").split()[1]
        provider = line_with(process.stdout, "provider").split()[1]
        line_with(process.stdout, "Ctrl-C ends it")
        with urllib.request.urlopen(f"{url}/metrics", timeout=30) as page:
            assert b'tallygate_llm_calls_in_flight{provider="openai"' in page.read()
        with urllib.request.urlopen(f"{provider}/served", timeout=30) as served:
            assert "totals" in json.load(served)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    assert "requests  " in out


def test_a_taken_port_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(running, "PORT", port)
        (listener,) = running.listeners(None)
        with listener:
            assert listener.getsockname()[1] not in (0, port)
        assert capsys.readouterr().err == f"port {port} is taken, so the gateway gets a free one\n"
        with pytest.raises(StartError, match=f"port {port} on 127.0.0.1 is already in use"):
            running.listeners(port)
