"""A provider goes away and comes back: the alert arrives where people are told, and is taken back."""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tallygate.rules import RULES, rules_file
from tallygate.simulator import Simulator
from tests.docs.pages import ROOT
from tests.gateway.apis import APIS
from tests.gateway.running import Gateway, ask, gateway
from tests.prometheus.alertmanager import Alert, alertmanager, webhook
from tests.prometheus.server import Job, Prometheus, prometheus

pytestmark = pytest.mark.xdist_group("prometheus")

SCALE = 1 / 100
"""Five minutes are three seconds; all else is as the command exports it."""
RUNBOOKS = "https://runbooks.example"
PAUSE = 0.05
"""Seconds between two calls."""
(CHAT,) = (api for api in APIS if api.name == "openai_chat")
MODEL = "gpt-x"
OF_AN_OUTAGE = {
    "TallygateProviderDown",
    "TallygateProviderDegraded",
    "TallygateBreakerOpen",
    "TallygateAvailabilityBurnFast",
    "TallygateAvailabilityBurnSlow",
    "HighErrorRate",
    "HighLLMErrorRate",
    "HighModelErrorRate",
    "ProviderUnhealthy",
    "ProviderDegraded",
    "CircuitBreakerOpen",
    "HighHTTP5xxRate",
    "HTTPAvailabilityBurnFast",
    "HTTPAvailabilityBurnSlow",
    "UnusualErrorPattern",
}
"""What may be told of a provider that is away; all else would be a false alarm."""


@asynccontextmanager
async def calling(running: Gateway) -> AsyncIterator[None]:
    """Somebody calls a model again and again."""

    async def go_on() -> None:
        while True:
            await ask(running.url + CHAT.path(MODEL, False), CHAT.body(MODEL, False))
            await asyncio.sleep(PAUSE)

    task = asyncio.create_task(go_on())
    yield
    assert not task.done(), task
    task.cancel()


def down(status: str) -> Callable[[Alert], bool]:
    return lambda alert: (alert["labels"]["alertname"], alert["status"]) == ("TallygateProviderDown", status)


async def silenced(alertmanager: str) -> dict[str, str]:
    """Matchers of the silence that comes of the command on the alert's page."""
    page = (ROOT / "docs/runbooks/TallygateProviderDown.md").read_text()
    (command,) = (line.strip("`") for line in page.splitlines() if line.startswith("`amtool"))
    where = f"--alertmanager.url=http://{alertmanager}"
    process = await asyncio.create_subprocess_exec(*shlex.split(command), where)
    assert await process.wait() == 0
    (silence,) = json.loads((await ask(f"http://{alertmanager}/api/v2/silences", method="GET")).body)
    assert silence["status"]["state"] == "active"
    return {matcher["name"]: matcher["value"] for matcher in silence["matchers"]}


async def alerting(server: Prometheus) -> dict[str, str]:
    """States of the alerts that Prometheus has, by name."""
    return {alert["labels"]["alertname"]: alert["state"] for alert in (await server.api("alerts"))["alerts"]}


async def rules_with_problems(server: Prometheus) -> list[Any]:
    """Those that could not be evaluated."""
    groups = (await server.api("rules"))["groups"]
    return [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]


async def test_an_outage_is_told_and_taken_back(tmp_path: Path) -> None:
    files = []
    for dialect in RULES:
        files.append(tmp_path / f"{dialect}.rules.yml")
        files[-1].write_text(rules_file(dialect, runbooks=RUNBOOKS, scale=SCALE))
    provider = Simulator()
    await provider.start()
    model = {"name": MODEL, "price": {"input": 1}}
    settings = {
        "providers": {"openai": {"base_url": f"{provider.url}/v1", "api_key": "any", "models": [model]}},
        "failover": {"breaker_seconds": 1},
    }
    async with webhook() as hook, alertmanager(tmp_path, hook) as told, gateway(settings) as running:
        jobs = [Job(dialect, running.url.removeprefix("http://"), dialect) for dialect in RULES]
        async with prometheus(tmp_path, jobs, rules=files, alertmanager=told) as server, calling(running):
            await server.until("job:tallygate_llm_calls:rate5m > 0")
            await server.until("sum_over_time(job:tallygate_llm_calls:rate5m[1m:1s]) > 60")
            assert await alerting(server) == {}
            assert await rules_with_problems(server) == []
            port = provider.port
            await provider.close()
            fired = await hook.first(down("firing"))
            labels = {
                "alertname": "TallygateProviderDown",
                "job": "tallygate",
                "provider": "openai",
                "severity": "critical",
            }
            annotations = {
                "summary": "Provider openai is down",
                "description": "0% of the gateways of tallygate get good answers from openai.",
                "runbook_url": f"{RUNBOOKS}/TallygateProviderDown.md",
            }
            assert (fired["labels"], fired["annotations"]) == (labels, annotations)
            assert set(await alerting(server)) <= OF_AN_OUTAGE
            async with Simulator(port=port):
                taken_back = await hook.first(down("resolved"))
                assert (taken_back["labels"], taken_back["annotations"]) == (labels, annotations)
                assert taken_back["startsAt"] == fired["startsAt"]
                assert await silenced(told) == {"alertname": "TallygateProviderDown", "provider": "openai"}
                assert await rules_with_problems(server) == []
