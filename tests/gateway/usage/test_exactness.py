"""Every call that reached the provider is in the database once, as the metrics and the provider count it."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

from tallygate.gateway.database import Database
from tests.gateway.test_truth import BROKEN, FINE, REFUSED, WAYS, model_name
from tests.gateway.usage.served import MASTER_KEY, Account, accounted, cost_of

TOKENS = ("input", "output", "cache_read", "cache_write", "reasoning")
ELSEWHERE = ("stall", "slow_headers", "huge_chunks")
"""What takes a time-out to end, or keeps the one event loop here busy for long, is in test_settling."""
MODELS = [model_name(behaviour) for behaviour in (*FINE, *REFUSED, *BROKEN) if behaviour not in ELSEWHERE]
AT_ONCE = 8
PATIENT = {"upstream_first_byte_seconds": 60, "stream_idle_seconds": 60}


async def test_totals_are_those_of_the_metrics_and_of_the_provider(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    async with accounted(database, database_url, tmp_path, *MODELS, limits=PATIENT) as running:
        accounts = [await running.account("ann"), await running.account("bob"), Account("", "", MASTER_KEY)]
        turns = asyncio.Semaphore(AT_ONCE)
        asked: Counter[tuple[str, str, str]] = Counter()

        async def one(number: int, model: str, way: int) -> None:
            api, stream = WAYS[way]
            account = accounts[number % 3]
            asked[account.key_id, api.provider, model] += 1
            asks_usage = True if stream and api.name in ("openai_chat", "openai_completions") else None
            async with turns:
                await running.ask(account, api, model, stream, usage=asks_usage if number % 2 else None)

        for number in range(3):
            # While nothing else happens, so that the keys are known.
            await one(number, MODELS[0], 0)
        calls = [(model, way) for model in MODELS for way in range(len(WAYS))]
        await asyncio.gather(*[one(number, *what) for number, what in enumerate(calls)])
        entries = await running.written()
        page = running.gateway.page()
        served = running.simulator.served()["calls"]
        ann = (await running.service.user("ann")).spent

    assert Counter((entry.key_id, entry.provider, entry.model) for entry in entries) == asked
    for model in MODELS:
        mine = [entry for entry in entries if entry.model == model]
        sent = [group for group in served if group["model"] == model]
        for kind in TOKENS:
            counted = sum(getattr(entry, f"{kind}_tokens") for entry in mine)
            assert counted == page.total("tallygate_llm_tokens_total", type=kind, model=model), (model, kind)
            assert counted == sum(group[f"{kind}_tokens"] for group in sent), (model, kind)
        cost = sum(entry.cost for entry in mine)
        assert cost == round(page.total("tallygate_llm_cost_usd_total", model=model) * 10**11), model
        assert len(mine) == sum(group["requests"] for group in sent)
        assert sum(entry.reported for entry in mine) == sum(group["reported_usage"] for group in sent), model
    for outcome in ("completed", "failed", "cancelled"):
        counted = sum(entry.outcome == outcome for entry in entries)
        assert counted == page.total("tallygate_llm_calls_total", outcome=outcome), outcome
    failures = Counter((entry.model, entry.error_type) for entry in entries if entry.error_type)
    for (model, error_type), count in failures.items():
        assert page.total("tallygate_llm_errors_total", model=model, error_type=error_type) == count
    assert sum(failures.values()) == page.total("tallygate_llm_errors_total")
    assert ann == sum(entry.charged for entry in entries if entry.key_id == accounts[0].key_id)
    assert ann > 0
    assert page.total("tallygate_dropped_observations_total") == 0


async def test_each_call_is_told_in_full(database_url: str, database: Database, tmp_path: Path) -> None:
    model = "model-x+cached"
    async with accounted(database, database_url, tmp_path, model, limits=PATIENT) as running:
        account = await running.account("ann")
        expected = []
        for api, stream in WAYS:
            running.simulator.reset()
            answer = await running.ask(account, api, model, stream)
            assert answer.status == 200
            told = running.simulator.served()["totals"]
            tokens = [told[f"{kind}_tokens"] for kind in TOKENS]
            expected.append(
                (0, account.key_id, account.user_id, api.provider, model, api.operation, int(stream), "completed", "",
                 1, 1, *tokens, cost_of(*tokens[:4]), 0, 0, 0)
            )  # fmt: skip
        entries = await running.written()
    assert [entry._replace(time=0) for entry in entries] == expected
