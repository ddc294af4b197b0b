"""Every page of a gateway that served traffic is sound to the tools that read such pages."""

import asyncio
import gzip
from asyncio.subprocess import PIPE, STDOUT

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from tallygate.dialects import DIALECTS
from tallygate.dialects.families import BareCounter
from tests.gateway.running import ask
from tests.prometheus.conftest import SECRET, SHARED, World

pytestmark = SHARED

OPENMETRICS = "application/openmetrics-text; version=1.0.0"

PROMISED = {
    "tallygate": (),
    "otel": (),
    "erato": (
        'tokio_live_tasks_count non-histogram and non-summary metrics should not have "_count" suffix',
        'tokio_total_busy_duration counter metrics should have "_total" suffix',
        'tokio_workers_count non-histogram and non-summary metrics should not have "_count" suffix',
    ),
    "aurora": (),
    "gatewayz": (),
    "hyperagent": ("llm_latency_ms metric names should not contain abbreviated units",),
    "archestra": (
        "http_request_summary_seconds metric name should not include type 'summary'",
        'nodejs_active_handles_total non-counter metrics should not have "_total" suffix',
        'nodejs_active_requests_total non-counter metrics should not have "_total" suffix',
    ),
}
"""What promtool's lint says about names that other systems promised, and that therefore stay."""


async def page(world: World, dialect: str, accept: str = "text/plain") -> str:
    """A page as a scraper gets it, gzipped on the way."""
    headers = {"authorization": f"Bearer {SECRET}", "accept": accept, "accept-encoding": "gzip"}
    answer = await ask(f"{world.gateway.url}/metrics?dialect={dialect}", headers=headers, method="GET")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(accept)
    assert answer.headers["content-encoding"] == "gzip"
    return gzip.decompress(answer.body).decode()


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_promtool_finds_nothing_that_was_not_promised(world: World, dialect: str) -> None:
    text = await page(world, dialect)
    promtool = await asyncio.create_subprocess_exec(
        "promtool", "check", "metrics", stdin=PIPE, stdout=PIPE, stderr=STDOUT
    )
    output, _ = await promtool.communicate(text.encode())
    said = tuple(sorted(filter(None, output.decode().splitlines())))
    assert said == PROMISED[dialect]
    assert promtool.returncode == (3 if said else 0)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_prometheus_clients_parsers_read_the_same(world: World, dialect: str) -> None:
    text = families(list(parse_text(await page(world, dialect))))
    openmetrics = families(list(parse_openmetrics(await page(world, dialect, OPENMETRICS))))  # type: ignore[no-untyped-call]  # theirs is untyped
    declared = {
        family.name: "unknown" if isinstance(family, BareCounter) else family.kind
        for family in DIALECTS[dialect].families
    }
    written = {
        name: next(name + end for end in ("_total", "_info", "") if name + end in declared) for name in openmetrics
    }
    assert {name: kind for name, (kind, _) in openmetrics.items()} == {
        name: declared[whole] for name, whole in written.items()
    }
    # The text format has no info: there it is a gauge, under its whole name.
    in_text = {whole if declared[whole] == "info" else name: name for name, whole in written.items()}
    assert {name: about for name, (_, about) in text.items()} == {
        name: openmetrics[other][1] for name, other in in_text.items()
    }


def families(metrics: list[Metric]) -> dict[str, tuple[str, str]]:
    """Type and help by name."""
    found = {metric.name: (metric.type, metric.documentation) for metric in metrics}
    assert len(found) == len(metrics)
    return found
