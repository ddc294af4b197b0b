"""The caller's sampled trace becomes the exemplar of its call."""

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tallygate.simulator import Simulator
from tests.gateway.apis import APIS
from tests.gateway.running import ask, gateway
from tests.gateway.test_truth import settings

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CHAT = APIS[0]


async def exemplars(traceparent: str) -> set[tuple[str, str, str]]:
    """(sample, trace, span) of every exemplar after one call with this header."""
    async with Simulator() as simulator, gateway(settings(simulator, "model-x")) as running:
        await ask(running.url + CHAT.path("model-x", False), CHAT.body("model-x", False), {"traceparent": traceparent})
        await running.settled()
        page = running.app.tally.render(("tallygate",), "openmetrics").decode()
    return {
        (sample.name, sample.exemplar.labels["trace_id"], sample.exemplar.labels["span_id"])
        for family in text_string_to_metric_families(page)  # type: ignore[no-untyped-call]  # theirs has no types
        for sample in family.samples
        if sample.exemplar is not None
    }


async def test_a_sampled_trace_is_linked_to_calls_and_durations() -> None:
    found = await exemplars(f"00-{TRACE}-{SPAN}-01")
    assert ("tallygate_llm_calls_total", TRACE, SPAN) in found
    assert ("tallygate_llm_call_duration_seconds_bucket", TRACE, SPAN) in found


@pytest.mark.parametrize(
    "traceparent",
    [
        f"00-{TRACE}-{SPAN}-00",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}",
        "nonsense",
        "",
    ],
)
async def test_what_is_not_sampled_or_not_well_formed_is_no_exemplar(traceparent: str) -> None:
    assert await exemplars(traceparent) == set()
