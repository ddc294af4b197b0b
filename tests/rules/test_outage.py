"""A provider goes away and comes back: the alert arrives where people are told, and is taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tallygate.rules import rules_file
from tallygate.simulator import Simulator
from tests.gateway.apis import APIS
from tests.gateway.running import Gateway, ask, gateway
from tests.prometheus.alertmanager import Alert, alertmanager, webhook
from tests.prometheus.server import Job, prometheus

pytestmark = pytest.mark.xdist_group("prometheus")

SCALE = 1 / 60
"""Minutes are seconds; all else is as the command exports it."""
RUNBOOKS = "https://runbooks.example"
PAUSE = 0.05
"""Seconds between two calls."""
(CHAT,) = (api for api in APIS if api.name == "openai_chat")
MODEL = "gpt-x"


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


async def test_an_outage_is_told_and_taken_back(tmp_path: Path) -> None:
    rules = tmp_path / "tallygate.rules.yml"
    rules.write_text(rules_file("tallygate", runbooks=RUNBOOKS, scale=SCALE))
    provider = Simulator()
    await provider.start()
    settings = {
        "providers": {"openai": {"base_url": f"{provider.url}/v1", "api_key": "any", "models": [MODEL]}},
        "failover": {"breaker_seconds": 1},
    }
    async with webhook() as hook, alertmanager(tmp_path, hook) as told, gateway(settings) as running:
        job = Job("gateways", running.url.removeprefix("http://"))
        async with prometheus(tmp_path, [job], rules=[rules], alertmanager=told) as server, calling(running):
            await server.scraped_since(0, [job.name])
            assert await server.by("provider", "tallygate_provider_available") == {"openai": 1}
            port = provider.port
            await provider.close()
            fired = await hook.first(down("firing"))
            labels = {
                "alertname": "TallygateProviderDown",
                "job": "gateways",
                "provider": "openai",
                "severity": "critical",
            }
            annotations = {
                "summary": "Provider openai is down",
                "description": "No gateway of gateways gets a good answer from openai.",
                "runbook_url": f"{RUNBOOKS}/TallygateProviderDown.md",
            }
            assert (fired["labels"], fired["annotations"]) == (labels, annotations)
            async with Simulator(port=port):
                taken_back = await hook.first(down("resolved"))
                assert (taken_back["labels"], taken_back["annotations"]) == (labels, annotations)
                assert taken_back["startsAt"] == fired["startsAt"]
                assert await server.by("provider", "tallygate_provider_available") == {"openai": 1}
