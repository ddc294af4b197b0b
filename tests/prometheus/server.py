"""A real Prometheus: Debian's binary on a free port, with a data directory of its own."""

import asyncio
import json
import re
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.gateway.running import ask

Labels = frozenset[tuple[str, str]]

PATIENCE = 30.0
"""Seconds until a wait for Prometheus is given up."""
POLL = 0.05
LISTENING = re.compile(r"listening on\W.*address=(?:\S+:)?(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Job:
    """What is scraped."""

    name: str
    target: str
    """host:port"""
    dialect: str = ""
    """'' leaves it to the gateway."""
    token_file: Path | None = None

    def config(self) -> dict[str, Any]:
        """As Prometheus' configuration file has it."""
        config: dict[str, Any] = {"job_name": self.name, "static_configs": [{"targets": [self.target]}]}
        if self.dialect:
            config["params"] = {"dialect": [self.dialect]}
        if self.token_file is not None:
            config["authorization"] = {"credentials_file": str(self.token_file)}
        return config


@dataclass(frozen=True)
class Exemplar:
    """A call that Prometheus remembers."""

    series: Labels
    trace: str
    span: str
    value: float


@dataclass
class Prometheus:
    """A running Prometheus, asked through its HTTP API."""

    port: int
    said: list[str] = field(default_factory=list)
    """Its log."""

    async def api(self, path: str, **parameters: str) -> Any:
        """The ``data`` of an answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        answer = await ask(url, method="GET")
        document = json.loads(answer.body)
        assert (answer.status, document["status"]) == (200, "success"), document
        assert not document.get("warnings"), document
        return document["data"]

    async def refusal(self, promql: str) -> str:
        """Why a query is none."""
        url = f"http://127.0.0.1:{self.port}/api/v1/query?{urlencode({'query': promql})}"
        answer = await ask(url, method="GET")
        assert answer.status == 400, answer
        return str(json.loads(answer.body)["error"])

    async def query(self, promql: str, at: float | None = None) -> dict[Labels, float]:
        """The value of each series of an instant query, now or at another time."""
        data = await self.api("query", query=promql, **({} if at is None else {"time": f"{at:.3f}"}))
        assert data["resultType"] == "vector", data
        found = {frozenset(each["metric"].items()): float(each["value"][1]) for each in data["result"]}
        assert len(found) == len(data["result"])
        return found

    async def value(self, promql: str) -> float:
        """The value of a query whose answer is one series without labels."""
        found = await self.query(promql)
        assert set(found) == {frozenset()}, f"{promql}: {found}"
        return found[frozenset()]

    async def by(self, label: str, promql: str) -> dict[str, float]:
        """The values of a query whose series differ in one label; '' for a series without it."""
        return {dict(labels).get(label, ""): value for labels, value in (await self.query(promql)).items()}

    async def history(self, promql: str) -> dict[Labels, list[float]]:
        """All samples of each series of a range, oldest first."""
        data = await self.api("query", query=promql)
        assert data["resultType"] == "matrix", data
        return {
            frozenset(each["metric"].items()): [float(value) for _, value in each["values"]] for each in data["result"]
        }

    async def exemplars(self, selector: str) -> list[Exemplar]:
        """All exemplars of these series; at least one."""
        found = [
            Exemplar(
                frozenset(series["seriesLabels"].items()),
                each["labels"]["trace_id"],
                each["labels"]["span_id"],
                float(each["value"]),
            )
            for series in await self.api("query_exemplars", query=selector, start="0", end="9999999999")
            for each in series["exemplars"]
        ]
        assert found, f"no exemplars of {selector}"
        return found

    async def scraped_since(self, moment: float, jobs: Sequence[str]) -> None:
        """Wait until each job was scraped in a scrape that began after this time."""
        wanted = "|".join(jobs)
        deadline = time.monotonic() + PATIENCE
        while True:
            began = await self.by("job", f'timestamp(up{{job=~"{wanted}"}})')
            if set(began) >= set(jobs) and all(began[job] > moment for job in jobs):
                return
            assert time.monotonic() < deadline, f"not scraped since {moment}: {began}"
            await asyncio.sleep(POLL)

    async def until(self, promql: str) -> None:
        """Wait until a query has an answer."""
        deadline = time.monotonic() + PATIENCE
        while not await self.query(promql):
            assert time.monotonic() < deadline, f"no answer: {promql}"
            await asyncio.sleep(POLL)

    async def scrapes(self, job: str) -> int:
        """How often this job was scraped."""
        found = await self.by("job", f'count_over_time(up{{job="{job}"}}[1h])')
        return int(found.get(job, 0))


@asynccontextmanager
async def prometheus(
    directory: Path, jobs: Sequence[Job], *, rules: Sequence[Path] = (), alertmanager: str = ""
) -> AsyncIterator[Prometheus]:
    """Scrape these jobs, and evaluate rules, once a second. ``alertmanager``: host:port of who is told of alerts."""
    timing = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
    config = directory / "prometheus.yml"
    document: dict[str, Any] = {"global": timing, "scrape_configs": [job.config() for job in jobs]}
    if rules:
        document["rule_files"] = [str(file) for file in rules]
    if alertmanager:
        document["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    config.write_text(yaml.safe_dump(document))
    command = (
        "prometheus",
        f"--config.file={config}",
        f"--storage.tsdb.path={directory / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        "--enable-feature=exemplar-storage",
        "--log.level=info",
    )
    async with started(command, "Server is ready to receive web requests") as (port, said):
        yield Prometheus(port, said)


@asynccontextmanager
async def started(command: Sequence[str], ready: str) -> AsyncIterator[tuple[int, list[str]]]:
    """A server of Prometheus' family: its port, once it listens and its log has this line; and its log, which grows."""
    process = await asyncio.create_subprocess_exec(*command, stderr=PIPE)
    said: list[str] = []
    reading: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(PATIENCE):
            port = await _ready(process, ready, said)
        reading = asyncio.create_task(_read(process, said))
        yield port, said
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        if reading is not None:
            await reading


async def _ready(process: Process, ready: str, said: list[str]) -> int:
    """Read the log until it serves; gives its port."""
    assert process.stderr is not None
    port, is_ready = 0, False
    while not (is_ready and port):
        line = (await process.stderr.readline()).decode()
        assert line, "it ended:\n" + "".join(said)
        said.append(line)
        is_ready = is_ready or ready in line
        if (found := LISTENING.search(line)) and int(found[1]):
            port = int(found[1])
    return port


async def _read(process: Process, said: list[str]) -> None:
    assert process.stderr is not None
    async for line in process.stderr:
        said.append(line.decode())
