"""The traffic of the demo: varied requests over real connections, some of which fail, are left or are misspelt."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tallygate.gateway.upstream import Timeouts, UpstreamError, open_upstream

PATIENCE = Timeouts(connect=5, first_byte=30, idle=30, total=120)

ROUTES = ("chat", "search", "summary")
AGENTS = ("support-bot", "researcher", "reviewer")
SOURCES = ("api", "chat", "email")
TEAMS = ("growth", "platform")

OPENAI_MODELS = ("gpt-4o-mini", "gpt-4o", "gpt-4.1")
REASONING_MODEL = "o4-mini"
EMBEDDING_MODEL = "text-embedding-3-small"
ANTHROPIC_MODELS = ("claude-sonnet-4-5", "claude-haiku-4-5")
GEMINI_MODELS = ("gemini-2.5-flash", "gemini-2.5-pro")

FAILURES = {
    "429": 15,
    "500": 6,
    "503": 4,
    "context_length": 5,
    "content_filter": 3,
    "401": 2,
    "reset_body": 3,
    "error_event": 4,
    "cut_stream": 4,
    "truncated_json": 2,
}
"""What goes wrong, by weight; see the simulated provider's behaviours."""
FAILURE_SHARE, LEFT_SHARE, UNKNOWN_SHARE = 0.05, 0.015, 0.01
VARIETY = {"": 60, "cached": 20, "tools": 12, "gzip": 4, "no_usage": 1, "split_frames,pings": 3}
"""How those that succeed differ, by weight."""

QUESTIONS = (
    "What is the weather in Utrecht today?",
    "Summarise the minutes of yesterday's meeting in three sentences.",
    "Write a function that merges two sorted lists, and say how long it takes.",
    "Which invoices of March are still open, and whom should we remind first?",
)
TOOL = {"name": "get_weather", "description": "Weather of a place", "parameters": {"type": "object", "properties": {}}}


@dataclass(frozen=True, slots=True)
class Request:
    """One request to the gateway."""

    path: str
    body: dict[str, Any]
    left: bool = False
    """Whether its client goes away before the answer has ended."""


class Traffic:
    """Sends requests at random moments, so many per second on average, until it is told to stop."""

    def __init__(self, url: str, rate: float, seed: int) -> None:
        self._url, self._rate = url, rate
        self._random = random.Random(seed)
        self._client = open_upstream()
        self._going: set[asyncio.Task[None]] = set()
        self._sender: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, with a request at once."""
        self._sender = asyncio.create_task(self._send_all())

    async def stop(self, patience: float) -> None:
        """Send no more; wait so many seconds for the answers under way, then leave the rest."""
        if self._sender is not None:
            self._sender.cancel()
        if self._going:
            _, late = await asyncio.wait(self._going, timeout=patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._client.close()

    async def _send_all(self) -> None:
        while True:
            task = asyncio.create_task(self._send(self._request()))
            self._going.add(task)
            task.add_done_callback(self._going.discard)
            await asyncio.sleep(self._random.expovariate(self._rate))

    def _request(self) -> Request:
        """The next request; drawn here and not in its task, so that equal seeds give equal traffic."""
        rng = self._random
        make: Callable[[random.Random, str, bool], Request]
        make = rng.choices((_chat, _reasoning, _responses, _embedding, _anthropic, _gemini), (34, 8, 12, 8, 22, 16))[0]
        stream = rng.random() < 0.7
        draw = rng.random()
        if draw < FAILURE_SHARE:
            behaviour = rng.choices(list(FAILURES), list(FAILURES.values()))[0]
        else:
            behaviour = rng.choices(list(VARIETY), list(VARIETY.values()))[0]
        request = make(rng, behaviour, stream)
        if draw > 1 - UNKNOWN_SHARE and "model" in request.body:
            request.body["model"] = f"house-model-{rng.randrange(10**6)}"
        left = stream and FAILURE_SHARE < draw < FAILURE_SHARE + LEFT_SHARE
        return Request(request.path, request.body, left)

    async def _send(self, request: Request) -> None:
        """One request, its answer read to the end, or to where its client loses interest."""
        try:
            reply = await self._client.send(
                "POST", self._url + request.path, self._headers(), json.dumps(request.body).encode(), PATIENCE
            )
            try:
                async for _ in reply.body():
                    if request.left:
                        break
            finally:
                await reply.close()
        except UpstreamError:
            # That a connection breaks is part of the show: the metrics tell of it.
            return

    def _headers(self) -> list[tuple[bytes, bytes]]:
        choice = self._random.choice
        told = {
            "content-type": "application/json",
            "x-tallygate-route": choice(ROUTES),
            "x-tallygate-agent-name": choice(AGENTS),
            "x-tallygate-source": choice(SOURCES),
            "x-tallygate-team": choice(TEAMS),
        }
        return [(name.encode(), value.encode()) for name, value in told.items()]


def _query(behaviour: str, first: str = "?") -> str:
    return f"{first}simulate={behaviour}" if behaviour else ""


def _chat(rng: random.Random, behaviour: str, stream: bool) -> Request:
    body: dict[str, Any] = {
        "model": rng.choice(OPENAI_MODELS),
        "messages": [{"role": "system", "content": "You help."}, {"role": "user", "content": _question(rng)}],
        "max_tokens": rng.randint(20, 140),
    }
    if behaviour == "tools":
        body["tools"] = [{"type": "function", "function": TOOL}]
    if stream:
        body["stream"] = True
        if rng.random() < 0.5:
            body["stream_options"] = {"include_usage": True}
    return Request("/v1/chat/completions" + _query(behaviour), body)


def _reasoning(rng: random.Random, behaviour: str, stream: bool) -> Request:
    request = _chat(rng, behaviour or "reasoning", stream)
    return Request(request.path, {**request.body, "model": REASONING_MODEL})


def _responses(rng: random.Random, behaviour: str, stream: bool) -> Request:
    body = {"model": rng.choice(OPENAI_MODELS), "input": _question(rng), "max_output_tokens": rng.randint(20, 140)}
    return Request("/v1/responses" + _query(behaviour), {**body, "stream": stream})


def _embedding(rng: random.Random, behaviour: str, stream: bool) -> Request:
    inputs = [_question(rng) for _ in range(rng.randint(1, 5))]
    behaviour = behaviour if behaviour in ("429", "500", "503") else ""
    return Request("/v1/embeddings" + _query(behaviour), {"model": EMBEDDING_MODEL, "input": inputs})


def _anthropic(rng: random.Random, behaviour: str, stream: bool) -> Request:
    body: dict[str, Any] = {
        "model": rng.choice(ANTHROPIC_MODELS),
        "max_tokens": rng.randint(20, 140),
        "messages": [{"role": "user", "content": _question(rng)}],
    }
    if behaviour == "tools":
        body["tools"] = [{"name": "get_weather", "input_schema": {"type": "object", "properties": {}}}]
    if stream:
        body["stream"] = True
    return Request("/v1/messages" + _query("529" if behaviour == "503" else behaviour), body)


def _gemini(rng: random.Random, behaviour: str, stream: bool) -> Request:
    body = {
        "contents": [{"role": "user", "parts": [{"text": _question(rng)}]}],
        "generationConfig": {"maxOutputTokens": rng.randint(20, 140)},
    }
    action = (
        f"streamGenerateContent?alt=sse{_query(behaviour, '&')}" if stream else f"generateContent{_query(behaviour)}"
    )
    return Request(f"/v1beta/models/{rng.choice(GEMINI_MODELS)}:{action}", body)


def _question(rng: random.Random) -> str:
    """A prompt of some length."""
    return " ".join(rng.choices(QUESTIONS, k=rng.randint(1, 12)))
