"""``?simulate=`` asks for behaviours without changing the model's name."""

import json

from tallygate.simulator import Simulator
from tests.gateway.running import ask

BODY = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "How are you?"}]}).encode()


async def test_behaviours_in_the_query() -> None:
    async with Simulator() as provider:
        url = f"{provider.url}/v1/chat/completions"
        assert (await ask(f"{url}?simulate=429", BODY)).status == 429
        usage = json.loads((await ask(f"{url}?simulate=cached,reasoning", BODY)).body)["usage"]
        assert usage["prompt_tokens_details"]["cached_tokens"] == 2
        assert usage["completion_tokens_details"]["reasoning_tokens"] == 8
        assert (await ask(f"{url}?simulate=nonsense", BODY)).status == 200
        kinds = [(call["model"], call["behaviour"], call["status"]) for call in provider.served()["calls"]]
    assert kinds == [("gpt-4o", "", 200), ("gpt-4o", "429", 429), ("gpt-4o", "cached+reasoning", 200)]
