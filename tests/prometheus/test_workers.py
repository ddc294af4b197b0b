"""Several worker processes, one of them scraped at a time: PromQL's answers are the exact totals of all."""

import asyncio
import json
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import pytest
import yaml

from tallygate.simulator import Simulator
from tests.gateway.provided import providers
from tests.prometheus.server import PATIENCE, Job, prometheus
from tests.prometheus.traffic import MODELS, PRICE, Load, Truth

WORKERS = 2
ROUNDS = 2


async def listening(process: Process) -> str:
    """The address in the gateway's log, once it is there."""
    assert process.stderr is not None
    said = []
    async for line in process.stderr:
        said.append(line.decode())
        entry = json.loads(line)
        if entry["msg"] == "gateway is listening":
            return str(entry["url"])
    raise AssertionError("the gateway ended:\n" + "".join(said))


@pytest.mark.asyncio
async def test_two_workers_count_as_one(tmp_path: Path) -> None:
    async with Simulator() as simulator:
        listed = providers(simulator.url)
        for kind, provider in listed.items():
            provider["models"] = [{"name": MODELS[kind], "price": PRICE}]
        config = tmp_path / "gateway.yaml"
        settings = {
            "server": {"port": 0, "workers": WORKERS},
            "providers": listed,
            "failover": {"breaker_failures": 0},  # every call is to reach its provider
        }
        config.write_text(yaml.safe_dump(settings))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tallygate.cli", "serve", "--config", str(config), cwd=tmp_path, stderr=PIPE
        )
        try:
            async with asyncio.timeout(PATIENCE):
                url = await listening(process)
            jobs = [Job("ours", url.removeprefix("http://")), Job("theirs", url.removeprefix("http://"), "aurora")]
            async with prometheus(tmp_path, jobs) as server:
                await server.scraped_since(0, ["ours", "theirs"])
                load = Load(url, "any")
                for _ in range(ROUNDS):
                    await load.round()
                await simulator.until(lambda served: served.in_progress == 0)
                deadline = time.monotonic() + PATIENCE
                while await server.value("sum(tallygate_llm_calls_total)") < load.calls:
                    assert time.monotonic() < deadline
                    await server.scraped_since(time.time(), ["ours", "theirs"])
                await server.scraped_since(time.time(), ["ours", "theirs"])
                truth = Truth(simulator.served())
                assert await server.value("sum(tallygate_workers)") == WORKERS
                assert await server.value("sum(tallygate_llm_calls_total)") == load.calls
                assert await server.by("provider", "sum by (provider) (aurora_requests_total)") == truth.requests()
                for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
                    tokens = f'sum by (provider) (tallygate_llm_tokens_total{{type="{kind}"}}) > 0'
                    assert await server.by("provider", tokens) == truth.tokens(kind)
                errors = await server.by("error_type", "sum by (error_type) (tallygate_llm_errors_total) > 0")
                assert errors == truth.errors()
                assert await server.value("sum(tallygate_llm_calls_in_flight)") == 0
                exemplars = await server.exemplars("tallygate_llm_call_duration_seconds_bucket")
                assert {exemplar.trace for exemplar in exemplars} <= load.sampled
                assert await server.query("resets(tallygate_llm_call_duration_seconds_count[1h]) > 0") == {}
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGTERM)
            await process.communicate()
        assert process.returncode == 0
