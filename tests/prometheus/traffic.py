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

    async def make(self, url: str, key: str, trace: str, sampled: bool) -> None:
        """Through the gateway, as part of a trace; whatever comes of it is for the metrics to tell."""
        path = self.api.path(self.model, self.stream)
        if self.behaviour:
            path += f"{'&' if '?' in path else '?'}simulate={self.behaviour}"
        headers = {"authorization": f"Bearer {key}", "traceparent": f"00-{trace}-{trace[:16]}-0{sampled:d}"}
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


class Load:
    """Rounds of calls against one gateway."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self._key = url, key
        self._random = random.Random(0)
        self.calls = 0
        self.sampled: set[str] = set()
        """Trace ids of the calls whose callers sampled them: every other one."""

    async def round(self) -> None:
        """Make every call once, many at the same time, in a random order."""
        order = list(calls())
        self._random.shuffle(order)
        gate = asyncio.Semaphore(AT_ONCE)

        async def make(call: Call, trace: str, sampled: bool) -> None:
            async with gate:
                await call.make(self._url, self._key, trace, sampled)

        going = []
        for call in order:
            self.calls += 1
            trace, sampled = f"{self._random.getrandbits(128):032x}", self.calls % 2 == 0
            if sampled:
                self.sampled.add(trace)
            going.append(make(call, trace, sampled))
        await asyncio.gather(*going)


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
