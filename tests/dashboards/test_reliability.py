"""Cost & Reliability: what its panels say about hours, days and months of which every number is known.

promtool works the panels' own queries out, over series that it makes up; its clock begins with the year 1970.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import yaml
from grafana_foundation_sdk.models.prometheus import Dataquery

from tallygate.dashboards import boards
from tests.dashboards.asking import VARIABLE

(BOARD,) = [board for board in boards() if board.uid == "tallygate-cost-reliability"]
CHOSEN = {
    "job": ".*",
    "provider": ".*",
    "model": ".*",
    "route": ".*",
    "owner": "team",
    "budget": "1000",
    "period": "1d",
    "availability": "99.5",
    "latency": "95",
    "first_token": "95",
    "__rate_interval": "1h",
}
HOUR, DAY = 60, 24 * 60
"""In minutes."""
CALL = 'job="gateway", provider="openai", model="gpt-4o", route="chat"'


def series(name: str, labels: str, each_minute: float, minutes: int = 34 * DAY) -> dict[str, str]:
    """A counter that begins with the year, scraped every ten minutes."""
    return {"series": f"{name}{{{labels}}}", "values": f"0+{each_minute * 10:g}x{minutes // 10}"}


WORLD = [
    # Two teams, of which one spends $1 a minute and the other half of it.
    series("tallygate_llm_cost_usd_total", f'{CALL}, team="search"', 1),
    series("tallygate_llm_cost_usd_total", f'{CALL}, team="support"', 0.5),
    series("tallygate_llm_calls_total", f'{CALL}, team="search"', 80),
    series("tallygate_llm_calls_total", f'{CALL}, team="support"', 20),
    series("tallygate_llm_tokens_total", f'{CALL}, team="search", type="input"', 9_000),
    series("tallygate_llm_tokens_total", f'{CALL}, team="search", type="cache_read"', 8_000),
    series("tallygate_llm_tokens_total", f'{CALL}, team="support", type="output"', 1_000),
    series("tallygate_llm_errors_total", f'{CALL}, domain="provider", error_type="provider_timeout"', 0.2),
    series("tallygate_llm_errors_total", f'{CALL}, domain="caller", error_type="caller_invalid_request"', 7),
    series("tallygate_llm_unpriced_calls_total", CALL, 25),
    series("tallygate_llm_unmetered_calls_total", CALL, 1),
    series("tallygate_upstream_attempts_total", 'job="gateway", provider="openai", model="gpt-4o"', 110),
    series("tallygate_llm_call_duration_seconds_bucket", f'{CALL}, stream="false", le="30"', 48),
    series("tallygate_llm_call_duration_seconds_bucket", f'{CALL}, stream="false", le="+Inf"', 50),
    series("tallygate_llm_call_duration_seconds_count", f'{CALL}, stream="false"', 50),
    series("tallygate_llm_call_duration_seconds_count", f'{CALL}, stream="true"', 50),
    series("tallygate_llm_call_duration_seconds_sum", f'{CALL}, stream="false"', 150),
    series("tallygate_llm_call_duration_seconds_sum", f'{CALL}, stream="true"', 50),
    series("tallygate_gateway_overhead_seconds_sum", 'job="gateway", provider="openai"', 0.5),
    series("tallygate_llm_time_to_first_token_seconds_bucket", f'{CALL}, le="2.5"', 45),
    series("tallygate_llm_time_to_first_token_seconds_count", CALL, 50),
]


def query(title: str, legend: str = "", **chosen: str) -> str:
    """What a panel asks, rounded."""
    (panel,) = [panel for panel in BOARD.panels if panel.title == title]
    (expression,) = [
        each.expr for each in panel.targets or () if isinstance(each, Dataquery) and legend in ("", each.legend_format)
    ]
    filled = VARIABLE.sub(lambda match: (CHOSEN | chosen)[match[1] or match[2]], expression)
    return f"round({filled}, 0.0001)"


SIX, THIRD_OF_FEBRUARY = 6 * HOUR, (31 + 2) * DAY + 12 * HOUR
CASES: list[tuple[str, str, int, dict[str, str], dict[str, float]]] = [
    # Title, legend, minutes of 1970, variables; values by label
    ("Per hour, now", "", SIX, {}, {"": 90}),
    ("Today", "", SIX, {"__range": "6h"}, {"": 6 * 90}),
    ("Forecast for today", "", SIX, {"__range": "6h"}, {"": 24 * 90}),
    ("Forecast for today", "", DAY + SIX, {"__range": "6h"}, {"": 24 * 90}),
    ("This month", "", THIRD_OF_FEBRUARY, {"__range": "60h"}, {"": 60 * 90}),
    ("Forecast for the month", "", THIRD_OF_FEBRUARY, {"__range": "60h"}, {"": 28 * 24 * 90}),
    ("Forecast for the month", "", 10 * DAY, {"__range": "10d"}, {"": 31 * 24 * 90}),
    ("Of the month's budget", "", THIRD_OF_FEBRUARY, {"__range": "60h"}, {"": 28 * 24 * 90 / 1000}),
    (
        "Forecast for the month by $owner",
        "",
        THIRD_OF_FEBRUARY,
        {"__range": "60h"},
        {'{team="search"}': 28 * 24 * 60, '{team="support"}': 28 * 24 * 30},
    ),
    ("Spend per hour by $owner", "", SIX, {}, {'{team="search"}': 60, '{team="support"}': 30}),
    ("Today by $owner", "", SIX, {"__range": "6h"}, {'{team="search"}': 360, '{team="support"}': 180}),
    (
        "Spend by $owner",
        "Forecast for today",
        SIX,
        {"__range": "6h"},
        {'{team="search"}': 1440, '{team="support"}': 720},
    ),
    (
        "Spend by $owner",
        "Cost per call",
        SIX,
        {"__range": "6h"},
        {'{team="search"}': 0.0125, '{team="support"}': 0.025},
    ),
    ("Spend by $owner", "Tokens", SIX, {"__range": "6h"}, {'{team="search"}': 3_240_000, '{team="support"}': 360_000}),
    ("Cost per 1k tokens by model", "", SIX, {}, {'{model="gpt-4o"}': 0.15}),
    ("Available", "", 2 * DAY, {}, {"": 0.998}),
    ("Error budget left", "", 2 * DAY, {}, {"": 0.6}),
    ("Error budget left", "", 2 * DAY, {"availability": "99.9"}, {"": -1}),
    ("Fast enough", "", 2 * DAY, {}, {"": 0.96}),
    ("Latency budget left", "", 2 * DAY, {}, {"": 0.2}),
    ("First token in time", "", 2 * DAY, {}, {"": 0.9}),
    ("First token budget left", "", 2 * DAY, {}, {"": -1}),
    ("Burn rate", "over 1h", 2 * DAY, {}, {"": 0.4}),
    ("Burn rate", "over 3d", 4 * DAY, {}, {"": 0.4}),
    ("Failed by the provider's fault", "", SIX, {}, {'{provider="openai"}': 0.002}),
    ("Attempts per call", "", SIX, {}, {"": 1.1}),
    ("Unpriced", "", SIX, {}, {"": 0.25}),
    ("Unmetered", "", SIX, {}, {"": 0.01}),
    ("Gateway's share of the time of calls", "", SIX, {}, {'{provider="openai"}': 0.0025}),
]


def test_what_the_panels_say(tmp_path: Path) -> None:
    """All at once, as reading the series in takes longest; promtool tells each that is not as it should be."""
    asked: list[dict[str, Any]] = [
        {
            "expr": query(title, legend, **chosen),
            "eval_time": f"{at}m",
            "exp_samples": [{"labels": labels or "{}", "value": value} for labels, value in values.items()],
        }
        for title, legend, at, chosen, values in CASES
    ]
    group = {"interval": "10m", "input_series": WORLD, "promql_expr_test": asked}
    path = tmp_path / "panels.yml"
    path.write_text(yaml.safe_dump({"evaluation_interval": "10m", "tests": [group]}))
    done = subprocess.run(["promtool", "test", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout
