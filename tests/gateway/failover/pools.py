"""Several simulated providers behind one gateway, with clocks, chances and pauses that a test holds in its hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tallygate.gateway.failover.policy import Failover
from tallygate.gateway.parts import Parts
from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.provided import last_reply, until
from tests.gateway.running import Answer, Gateway, Page, ask, gateway

CHAT = APIS[0]
WALL = 1_800_000_000.0
"""What the wall clock shows, as Unix time."""


def place(provider: str, model: str, **more: Any) -> dict[str, Any]:
    """A deployment in the settings."""
    return {"provider": provider, "model": model, **more}


def served_by(*deployments: dict[str, Any], fallbacks: Sequence[str] = ()) -> dict[str, Any]:
    """A model in the settings, its deployments in the order in which they are asked."""
    ranked = [{"priority": index + 1, **one} for index, one in enumerate(deployments)]
    return {"deployments": ranked, "fallbacks": list(fallbacks)}


@dataclass
class Time:
    """A clock that stands still but for pauses, which take no time outside."""

    now: float = 1000.0
    pauses: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@dataclass
class Pool:
    """A gateway and its providers, by name."""

    gateway: Gateway
    simulators: Mapping[str, Simulator]
    time: Time

    @property
    def parts(self) -> Parts:
        return self.gateway.app._parts

    @property
    def policy(self) -> Failover:
        return self.parts.failover

    async def ask(
        self, model: str, *, stream: bool = False, api: API = CHAT, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One call, and its facts written."""
        body = api.body(model, stream)
        answer = await ask(self.gateway.url + api.path(model, stream), body, headers)
        await self.gateway.settled()
        return answer

    def requests(self, provider: str) -> int:
        """How many calls a provider has got."""
        total = self.simulators[provider].served()["totals"]["requests"]
        assert isinstance(total, int)
        return total

    @property
    def all_requests(self) -> int:
        return sum(map(self.requests, self.simulators))

    async def sent(self, provider: str, model: str) -> bytes:
        """The body of the last reply of a provider for this model."""
        return await last_reply(self.simulators[provider], model)

    async def order(self, model: str, calls: int) -> str:
        """Which providers served so many calls, one after the other."""
        answers = [await self.ask(model) for _ in range(calls)]
        return "".join(answer.headers["x-tallygate-provider"] for answer in answers)

    def page(self) -> Page:
        return self.gateway.page()

    async def check_attempts(self) -> Page:
        """Attempts counted are those that the providers got, and one more than retries for every call."""
        page = self.page()
        attempts = page.total("tallygate_upstream_attempts_total")
        # A provider notes a moment later that nobody waits for its answer any more.
        await until(lambda: self.all_requests >= attempts)
        assert attempts == self.all_requests
        for provider in self.simulators:
            assert page.total("tallygate_upstream_attempts_total", provider=provider) == self.requests(provider)
        calls = page.total("tallygate_llm_calls_total")
        assert attempts == calls + page.total("tallygate_upstream_retries_total")
        assert page.total("tallygate_llm_calls_in_flight") == 0
        assert page.total("tallygate_dropped_observations_total") == 0
        return page


def message_of(answer: Answer) -> str:
    """The message of an error in OpenAI's shape."""
    message = json.loads(answer.body)["error"]["message"]
    assert isinstance(message, str)
    return message


@asynccontextmanager
async def pool(
    models: Mapping[str, Any],
    *,
    providers: Sequence[str] = ("a", "b"),
    keys: bool = True,
    chance: float = 0.0,
    simulated: Mapping[str, Mapping[str, Any]] | None = None,
    beside: Mapping[str, Any] | None = None,
    more: Mapping[str, Any] | None = None,
    **failover: Any,
) -> AsyncIterator[Pool]:
    """A gateway in front of simulated providers called a, b, ...

    chance: what every chance gives. simulated: arguments of simulators. beside: further providers. more: settings
    besides. failover: its settings.
    """
    async with AsyncExitStack() as stack:
        simulators = {
            name: await stack.enter_async_context(Simulator(**(simulated or {}).get(name, {}))) for name in providers
        }
        settings = {
            "providers": {
                name: {"base_url": f"{simulator.url}/v1", **({"api_key": f"key-of-{name}"} if keys else {})}
                for name, simulator in simulators.items()
            }
            | dict(beside or {}),
            "models": models,
            "failover": failover,
            **(more or {}),
        }
        running = await stack.enter_async_context(gateway(settings))
        policy, time = running.app._parts.failover, Time()
        policy.clock, policy.sleep, policy.chance, policy.wall_clock = time, time.sleep, lambda: chance, lambda: WALL
        yield Pool(running, simulators, time)
