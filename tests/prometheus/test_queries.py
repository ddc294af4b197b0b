"""Every query of docs/queries.md has the right answer in a real Prometheus, after a load of which all is known."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tallygate.exposition.listener import start_metrics_server
from tallygate.tally import Tally
from tests.prometheus import known
from tests.prometheus.asking import of_job, quantile
from tests.prometheus.server import Job, Prometheus, prometheus

pytestmark = pytest.mark.xdist_group("queries")
in_one_loop = pytest.mark.asyncio(loop_scope="package")  # the gateway of the other tests here goes on being scraped

PAGE = Path(__file__).parents[2] / "docs" / "queries.md"
HEADINGS = {
    "HyperAgent": "hyperagent",
    "Gatewayz": "gatewayz",
    "Aurora": "aurora",
    "Erato": "erato",
    "Archestra": "archestra",
}

Answer = Mapping[tuple[str, ...], float]
"""By the values of the labels, sorted by their names."""
TOTAL: tuple[str, ...] = ()


@dataclass(frozen=True)
class Asked:
    """One row of the page."""

    job: str
    what: str
    documented: str
    query: str

    def __str__(self) -> str:
        return f"{self.job}: {self.what}"


def asked() -> list[Asked]:
    """All rows of the page."""
    found, job = [], ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            job = HEADINGS[line[3:]]
        elif line.startswith("| ") and not line.startswith(("| what", "| ---")):
            what, documented, here = (cell.strip() for cell in line.strip("|").split(" | "))
            query = documented if here == "the same" else here
            assert query.startswith("`"), line
            assert query.endswith("`"), line
            found.append(Asked(job, what, documented, query.strip("`")))
    return found


def latency(share: float, observed: Mapping[float, int]) -> float:
    return quantile(share, "hyperagent", "llm_latency_ms", observed)


MINUTE, FIVE = 60.0, 300.0
GPT = {800.0: 90, 20000.0: 39, 200.0: 1}
CLAUDE = {4000.0: 9}
ALL_MS = GPT | CLAUDE
GPT_SECONDS = {0.8: 90, 20.0: 39, 0.2: 1}
NO_ERRORS: Answer = dict.fromkeys(
    [("auth_failed",), ("network",), ("invalid_response",), ("api_error",), ("serialization",), ("validation",),
     ("token_limit",), ("model_unavailable",)], 0.0
)  # fmt: skip
CHAT = ("/v1/chat/completions", "POST")

HYPERAGENT: Mapping[str, Answer] = {
    "Total tokens by model, 24 h": {("gpt-4o",): 90 * 150, ("claude",): 9 * 1200},
    "Total cost by route, 7 d": {("chat",): 36, ("support",): 18},
    "P50 latency by model": {("gpt-4o",): latency(0.5, GPT), ("claude",): latency(0.5, CLAUDE)},
    "P90 latency by model": {("gpt-4o",): latency(0.9, GPT), ("claude",): latency(0.9, CLAUDE)},
    "P99 latency by model": {("gpt-4o",): latency(0.99, GPT), ("claude",): latency(0.99, CLAUDE)},
    "Cache hit rate by route": {("chat",): 0.75, ("support",): 0},
    "Rate limit events per hour": {("gpt-4o", "openai"): 12, ("claude", "anthropic"): 0},
    "Errors per second by type": {("timeout",): 39 / MINUTE, ("rate_limit",): 1 / MINUTE, **NO_ERRORS},
    "Active requests by model": {("gpt-4o",): 120, ("claude",): 2},
    "Total cost": {TOTAL: 54},
    "Panel: total cost, 24 h": {TOTAL: 54},
    "Panel: P50 latency": {TOTAL: latency(0.5, ALL_MS)},
    "Panel: P90 latency": {TOTAL: latency(0.9, ALL_MS)},
    "Panel: P99 latency": {TOTAL: latency(0.99, ALL_MS)},
    "Panel: cache hit rate": {TOTAL: 30 / 45},
    "Alert: HighLLMCost": {TOTAL: 54},
    "Alert: HighLLMErrorRate": {TOTAL: 40 / FIVE},
    "Alert: HighLLMLatency": {TOTAL: latency(0.99, ALL_MS)},
    "Alert: LLMRateLimited": {TOTAL: 12},
}

HTTP = {0.2: 200, 0.02: 50}
P95_OF_ALL = quantile(0.95, "gatewayz", "http_request_duration_seconds", HTTP)
REQUESTS: Mapping[tuple[str, ...], float] = {  # endpoint, method, status_class, status_code
    ("/v1/chat/completions", "POST", "2xx", "200"): 180,
    ("/v1/chat/completions", "POST", "5xx", "500"): 20,
    ("/models", "GET", "2xx", "200"): 50,
    ("/models", "GET", "5xx", "500"): 0,
}

GATEWAYZ: Mapping[str, Answer] = {
    "Probe": REQUESTS,
    "Request rate": {series: count / FIVE for series, count in REQUESTS.items()},
    "Error rate": {TOTAL: 0.08},
    "P95 latency": {TOTAL: P95_OF_ALL},
    "Tokens, 24 h": {
        ("gpt-4o", "openai", "input"): 9000,
        ("gpt-4o", "openai", "output"): 4500,
        ("claude", "anthropic", "input"): 9000,
        ("claude", "anthropic", "output"): 1800,
    },
    "Top users by credits": {("ann",): 2.5, ("bob",): 3},
    "Cache hit rate": {("answers",): 0.75, ("files",): 0},
    "Provider availability": {("openai",): 1, ("anthropic",): 0},
    "Panel: error rate, %": {TOTAL: 8},
    "Panel: response time": {
        CHAT: quantile(0.95, "gatewayz", "http_request_duration_seconds", {0.2: 200}),
        ("/models", "GET"): quantile(0.95, "gatewayz", "http_request_duration_seconds", {0.02: 50}),
    },
    "Panel: credits used, daily": {("gpt-4o", "openai", "ann"): 2.5, ("gpt-4o", "openai", "bob"): 3},
    "Panel: cache hit rate, %": {("answers",): 75, ("files",): 0},
    "Panel: top models by usage": {("gpt-4o",): 130, ("claude",): 9},
    "Panel: top users by requests": {("key-1",): 7, ("key-2",): 4},
    "Panel: active connections": {("db",): 4},
    "Panel: rate limited requests": {("security_ip_tier",): 6},
    "Database time, P95": {
        ("chats",): quantile(0.95, "gatewayz", "database_query_duration_seconds", {0.02: 60, 0.5: 30, 0.004: 10})
    },
}


def aurora_latency(share: float, observed: Mapping[float, int]) -> float:
    return quantile(share, "aurora", "aurora_request_duration_seconds", observed)


AURORA: Mapping[str, Answer] = {
    "Request rate by provider": {("openai",): 130 / FIVE, ("anthropic",): 9 / FIVE},
    "Error rate, %": {TOTAL: 40 / 139 * 100},
    "P95 latency by provider": {
        ("openai",): aurora_latency(0.95, GPT_SECONDS),
        ("anthropic",): aurora_latency(0.95, {4.0: 9}),
    },
    "In-flight requests": {("openai",): 120, ("anthropic",): 2},
    "Request rate by model": {("gpt-4o",): 130 / FIVE, ("claude",): 9 / FIVE},
    "Alert: HighErrorRate": {TOTAL: 40 / 139},
    "Alert: HighP99Latency": {("openai",): aurora_latency(0.99, GPT_SECONDS)},
    "Alert: HighConcurrency": {("openai",): 120},
}


def erato_time(share: float, which: str, seconds: float) -> float:
    return quantile(share, "erato", f"erato_chat_provider_time_to_{which}_token_seconds", {seconds: 1})


ERATO: Mapping[str, Answer] = {
    "Time to first token, P95": {
        ("openai",): erato_time(0.95, "first", 0.2),
        ("anthropic",): erato_time(0.95, "first", 0.6),
    },
    "Time to last token, P95": {
        ("openai",): erato_time(0.95, "last", 0.8),
        ("anthropic",): erato_time(0.95, "last", 4),
    },
    "Errors with the model's name": {
        ("openai", "gpt-4o", "openai"): 40 / FIVE,
        ("anthropic", "claude", "anthropic"): 0,
    },
    "Errors by type": {
        ("provider_error",): 39,
        ("rate_limit",): 1,
        ("content_filter",): 0,
        ("model_unavailable",): 0,
        ("invalid_request",): 0,
        ("hallucination_loop",): 0,
        ("internal_error",): 0,
    },
    "MCP sessions": {("github",): 3, ("idle",): 0},
    "Caches that are nearly full": {("answers",): 0.95},
    "Slow queries": {("list_chats",): (60 * 0.02 + 30 * 0.5) / 90, ("hash-0123456789abcdef",): 0.004},
    "Queries that fail": {("list_chats",): 30 / FIVE},
}

NEAR = 0.05
ARCHESTRA: Mapping[str, Answer] = {
    "Cost in USD, 24 h": {("helper",): 54},
    "Request success rate": {TOTAL: 99 / 139},
    "Errors of tool calls": {("github",): 0.25},
    "Event loop lag, P99": {TOTAL: 0.003},
    "Request time, P99": {
        ("POST", "0.99", "/v1/chat/completions", "200"): 0.2,
        ("POST", "0.99", "/v1/chat/completions", "500"): 0.2,
        ("GET", "0.99", "/models", "200"): 0.02,
    },
    "Requests of at most 256 tokens": {TOTAL: 90},
}

ANSWERS = {
    "hyperagent": HYPERAGENT,
    "gatewayz": GATEWAYZ,
    "aurora": AURORA,
    "erato": ERATO,
    "archestra": ARCHESTRA,
}


@dataclass(frozen=True)
class Scraped:
    """A Prometheus that saw the tally at 0 and after the load, and when it last looked."""

    prometheus: Prometheus
    at: Mapping[str, float]

    async def answer(self, job: str, query: str) -> Answer:
        """At the moment of the last scrape, so that nothing is extrapolated."""
        found = await self.prometheus.query(of_job(query, job), at=self.at[job])
        hidden = {"job", "instance", "__name__"}
        return {
            tuple(value for name, value in sorted(labels) if name not in hidden): value
            for labels, value in found.items()
        }


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def scraped(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Scraped]:
    tally = Tally()
    known.foretell(tally)
    server = start_metrics_server(tally, port=0)
    jobs = [Job(job, f"127.0.0.1:{server.port}", job) for job in ANSWERS]
    async with prometheus(tmp_path_factory.mktemp("queries"), jobs) as running:
        await running.scraped_since(0, list(ANSWERS))
        known.happen(tally)
        moment = await last_scrapes(running)
        await running.scraped_since(max(moment.values()) + 1, list(ANSWERS))
        yield Scraped(running, await last_scrapes(running))
    server.close()
    tally.close()


async def last_scrapes(running: Prometheus) -> dict[str, float]:
    """When each job was last scraped."""
    return await running.by("job", "timestamp(up)")


def test_every_query_of_the_page_is_known_and_no_others() -> None:
    rows = asked()
    shown: dict[str, Sequence[str]] = {job: [row.what for row in rows if row.job == job] for job in ANSWERS}
    assert shown == {job: list(answers) for job, answers in ANSWERS.items()}


@in_one_loop
@pytest.mark.parametrize("row", asked(), ids=str)
async def test_the_answer_is_right(scraped: Scraped, row: Asked) -> None:
    near = NEAR if "quantile=" in row.query else 1e-9
    expected = ANSWERS[row.job][row.what]
    assert await scraped.answer(row.job, row.query) == {
        series: pytest.approx(value, rel=near) for series, value in expected.items()
    }


@in_one_loop
async def test_what_the_originals_ask_amiss(scraped: Scraped) -> None:
    """Why there are corrections: their answers are wrong, or none."""
    rows = {row.what: row for row in asked()}
    wrong = await scraped.answer("gatewayz", rows["Error rate"].documented.strip("`"))
    assert wrong[("/v1/chat/completions", "POST", "5xx", "500")] == 1
    assert await scraped.answer("hyperagent", rows["Alert: HighLLMCost"].documented.strip("`")) == {}


UNPARSED = [row for row in asked() if row.what in ("Top users by credits", "Panel: top models by usage")]


@in_one_loop
@pytest.mark.parametrize("row", UNPARSED, ids=str)
async def test_what_cannot_be_parsed(scraped: Scraped, row: Asked) -> None:
    assert "parse error" in await scraped.prometheus.refusal(row.documented.strip("`"))
