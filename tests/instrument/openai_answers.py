"""Clients of the library ``openai`` that are answered from memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx2
from openai import OpenAI

from tallygate.tally import Tally
from tests.instrument.llm_truth import page_of
from tests.instrument.openai_ways import MESSAGES

USAGE_TOLD = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def completion(content: str = "Hello", finish_reason: str = "stop", **further: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "finish_reason": finish_reason, "message": message}
    return {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **further}


Handler = Callable[[httpx2.Request], httpx2.Response]


def answering(answer: Any, status: int = 200) -> Handler:
    """Every request has this answer."""
    content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    kind = "text/html" if isinstance(answer, bytes) else "application/json"
    return lambda request: httpx2.Response(status, content=content, headers={"content-type": kind})


def client_of(handler: Handler, **settings: Any) -> OpenAI:
    http = httpx2.Client(transport=httpx2.MockTransport(handler))
    return OpenAI(**{"api_key": "key", "max_retries": 0, "http_client": http, **settings})


def ask(client: Any, model: str = "gpt-4o") -> Any:
    return client.chat.completions.create(model=model, messages=MESSAGES)


def calls(tally: Tally, **labels: str) -> float:
    return page_of(tally).total("tallygate_llm_calls_total", **labels)
