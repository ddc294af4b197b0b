"""Load on a gateway: every API, streamed and not, with most ways a provider can behave; and what it adds up to."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.gateway.apis import API, APIS
from tests.gateway.running import ask
from tests.gateway.test_truth import BROKEN, ERROR_EVENTS, REFUSED

MODELS = {"openai": "gpt-x", "anthropic": "claude-x", "gemini": "gemini-x"}
STRANGER = "nobody-knows-this-model"
"""A model without a configuration, price or label of its own."""
PRICE = {"input": "1.5", "output": "6", "cache_read": "0.15", "cache_write": "1.875"}
ROUTES = ("search", "summary")

FINE = ("", "", "", "cached", "reasoning", "tools", "gzip", "no_usage", "split_frames", "pings", "crlf")
FAILING = (*REFUSED, "cut_stream", "cut_chunks", "truncated_json", "error_event")
AT_ONCE = 16
PROVIDERS = {api.name: api.provider for api in APIS}


@dataclass(frozen=True)
class Call:
    """One call of the load."""

    api: API
    stream: bool
    behaviour: str
    model: str
    route: str

    async def make(self, url: str, key: str) -> None:
        """Through the gateway; whatever comes of it is for the metrics to tell."""
        path = self.api.path(self.model, self.stream)
        if self.behaviour:
            path += f"{'&' if '?' in path else '?'}simulate={self.behaviour}"
        headers = {"authorization": f"Bearer {key}"}
        if self.route:
            headers["x-tallygate-route"] = self.route
        await ask(url + path, self.api.body(self.model, self.stream), headers)


def calls() -> Iterator[Call]:
    """One round of load."""
    for api in APIS:
        for stream in (False, True) if api.streams else (False,):
            for number, behaviour in enumerate((*FINE, *FAILING)):
                route = "" if api.provider != "gemini" else ROUTES[number % len(ROUTES)]
                yield Call(api, stream, behaviour, MODELS[api.provider], route)
    yield Call(APIS[0], False, "", STRANGER, "")
    yield Call(APIS[0], True, "", STRANGER, "")


async def round_of_load(url: str, key: str, seed: int) -> int:
    """Make every call once, many at the same time, in a random order; returns how many they were."""
    order = list(calls())
    random.Random(seed).shuffle(order)
    gate = asyncio.Semaphore(AT_ONCE)

    async def make(call: Call) -> None:
        async with gate:
            await call.make(url, key)

    await asyncio.gather(*map(make, order))
    return len(order)


class Truth:
    """What the provider says it served."""

    def __init__(self, served: dict[str, Any]) -> None:
        assert served["in_progress"] == 0
        self.calls: list[dict[str, Any]] = served["calls"]
        self.totals: dict[str, int] = served["totals"]

    def sum(self, what: str, **where: Any) -> int:
        """The sum over the calls that have these values."""
        return sum(call[what] for call in self.calls if all(call[name] == value for name, value in where.items()))

    def requests(self) -> Counter[str]:
        """Requests by provider."""
        return self._by(lambda call: PROVIDERS[call["api"]], lambda call: call["requests"])

    def tokens(self, kind: str) -> Counter[str]:
        """Tokens of a kind by provider."""
        return self._by(lambda call: PROVIDERS[call["api"]], lambda call: call[f"{kind}_tokens"])

    def streams_with_content(self) -> int:
        """Streams that had a first token."""
        return sum(call["requests"] for call in self.calls if call["stream"] and call["content_deltas"])

    def gaps(self) -> int:
        """Pauses between two content deltas of a stream."""
        return sum(
            call["content_deltas"] - call["requests"]
            for call in self.calls
            if call["stream"] and call["content_deltas"]
        )

    def errors(self) -> Counter[str]:
        """Failed calls by error type."""
        return self._by(error_type_of, lambda call: call["requests"])

    def _by(self, key: Any, count: Any) -> Counter[str]:
        found: Counter[str] = Counter()
        for call in self.calls:
            if key(call):
                found[key(call)] += count(call)
        return +found


def error_type_of(call: dict[str, Any]) -> str:
    """How a gateway must count a call of this kind; '' when it succeeded."""
    behaviour = call["behaviour"]
    if behaviour in BROKEN:
        return BROKEN[behaviour][0 if call["stream"] else 1] or ERROR_EVENTS[PROVIDERS[call["api"]]]
    return REFUSED.get(behaviour, "")
