"""A call is in the queue before its client has the end of the answer; what counts for one that broke off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.app import App
from tallygate.gateway.database import Database
from tallygate.gateway.settings import Settings
from tallygate.gateway.tallying import open_tally
from tallygate.gateway.usage.entry import Entry, decode
from tallygate.gateway.usage.ledger import Ledger
from tallygate.simulator import Simulator
from tests.gateway.apis import API, APIS
from tests.gateway.running import Page, parsed
from tests.gateway.usage.served import MASTER_KEY, cost_of, make_account, settings_for

CHAT, _, RESPONSES, EMBEDDINGS, MESSAGES, GEMINI = APIS
ENDS = {
    "openai_chat": b"[DONE]",
    "openai_completions": b"[DONE]",
    "openai_responses": b'"response.completed"',
    "anthropic_messages": b'"message_stop"',
    "gemini_generate": b'"finishReason"',
}
"""What a client may take for the end of a stream."""


class Called:
    """The gateway's application, called as its server does; notes what is in the queue whenever something is sent."""

    def __init__(self, app: App, simulator: Simulator) -> None:
        self.app, self.simulator = app, simulator
        ledger = app._parts.usage
        assert isinstance(ledger, Ledger)
        self.ledger = ledger
        self.sent: list[tuple[dict[str, Any], int]] = []
        """Messages, and how many calls were in the queue when they were sent."""

    async def ask(self, path: str, body: bytes, *, leave_after: bytes | None = None, secret: str = MASTER_KEY) -> None:
        """One request. leave_after: the client goes away when it has seen this."""
        self.sent.clear()
        asked = asyncio.Event()
        gone = asyncio.Event()
        path, _, query = path.partition("?")

        async def receive() -> dict[str, Any]:
            if not asked.is_set():
                asked.set()
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if gone.is_set():
                return
            self.sent.append((message, self.ledger.spool.waiting))
            if leave_after is not None and leave_after in message.get("body", b""):
                gone.set()
                task.cancel()

        scope = {
            "type": "http", "method": "POST", "path": path, "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {secret}".encode())], "client": ("127.0.0.1", 1),
            "scheme": "http", "http_version": "1.1",
        }  # fmt: skip
        task = asyncio.create_task(self.app(scope, receive, send))  # type: ignore[arg-type]  # as a server does
        await asyncio.wait([task])
        if not task.cancelled() and leave_after is None:
            task.result()

    def entry(self) -> Entry:
        """The only call in the queue."""
        ((_, entry),) = self.ledger.spool.read(0, 10)
        return decode(entry)

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message, _ in self.sent)


@asynccontextmanager
async def called(database: Database, url: str, directory: Path, *models: str, **more: Any) -> AsyncIterator[Called]:
    async with Simulator() as simulator:
        values = settings_for(url, directory, simulator.url, *models, **more)
        settings = Settings.model_validate({**values, "usage": {"flush_seconds": 3600}})
        app = App(settings, open_tally(settings))
        await app._parts.start()
        running = Called(app, simulator)
        await running.ledger._flusher.flush()
        try:
            yield running
        finally:
            await app._parts.close()
            app.tally.close()


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """The same for both kinds of databases: nothing here is written there."""
    return sqlite_url


@pytest.mark.parametrize("behaviour", ["", "+split_frames", "+unbuffered", "+crlf", "+cached+reasoning"])
@pytest.mark.parametrize("api", [api for api in APIS if api.streams], ids=lambda api: api.name)
async def test_a_stream_is_settled_before_its_end_is_sent(
    api: API, behaviour: str, database: Database, database_url: str, tmp_path: Path
) -> None:
    model = f"model-x{behaviour}"
    async with called(database, database_url, tmp_path, model) as running:
        await running.ask(api.path(model, True), api.body(model, True))
        told = running.simulator.served()["totals"]
        entry = running.entry()
        received, ended = b"", False
        for message, waiting in running.sent:
            received += message.get("body", b"")
            # An event is one when its blank line has come.
            if b"\n\n" in received.partition(ENDS[api.name])[2].replace(b"\r\n", b"\n"):
                assert waiting == 1
                ended = True
        assert ended
        assert running.sent[-1][1] == 1
        assert not running.sent[-1][0]["more_body"]
    assert entry.outcome == "completed"
    assert (entry.input_tokens, entry.output_tokens) == (told["input_tokens"], told["output_tokens"])


async def test_an_array_of_geminis_is_settled_before_its_end_is_sent(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    async with called(database, database_url, tmp_path, "model-x+split_frames") as running:
        path = GEMINI.path("model-x+split_frames", True).replace("?alt=sse", "")
        await running.ask(path, GEMINI.body("model-x+split_frames", True))
        told = running.simulator.served()["totals"]
        assert json.loads(running.body)
        ends = [waiting for message, waiting in running.sent if b"]" in message.get("body", b"")]
        assert ends[-1] == 1
        assert running.entry().output_tokens == told["output_tokens"]


@pytest.mark.parametrize("behaviour", ["", "+long:1MB", "+huge_chunks", "+split_frames"])
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_a_whole_reply_is_settled_before_its_end_is_sent(
    api: API, behaviour: str, database: Database, database_url: str, tmp_path: Path
) -> None:
    model = f"model-x{behaviour}"
    async with called(database, database_url, tmp_path, model) as running:
        await running.ask(api.path(model, False), api.body(model, False))
        assert json.loads(running.body)
        with_bytes = [waiting for message, waiting in running.sent if message.get("body")]
        assert with_bytes[-1] == running.sent[-1][1] == 1
        assert running.entry().outcome == "completed"


@pytest.mark.parametrize("api", [CHAT, MESSAGES, GEMINI], ids=lambda api: api.name)
async def test_a_client_that_leaves_at_the_end_has_had_its_answer(
    api: API, database: Database, database_url: str, tmp_path: Path
) -> None:
    async with called(database, database_url, tmp_path, "model-x+unbuffered") as running:
        await running.ask(
            api.path("model-x+unbuffered", True),
            api.body("model-x+unbuffered", True),
            leave_after=ENDS[api.name],
        )
        entry = running.entry()
        page = running.app.tally.render().decode()
    assert entry.outcome == "completed"
    assert "tallygate_llm_calls_total{" in page
    assert 'outcome="cancelled"' not in "".join(line for line in page.splitlines() if line.endswith(" 1"))


def prompt_tokens(body: bytes) -> int:
    return -(-len(body) // 4)


async def test_a_client_that_leaves_pays_for_what_was_delivered(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    model = "model-x+slow_stream:0.01"
    async with called(database, database_url, tmp_path, model) as running:
        body = CHAT.body(model, True)
        await running.ask(CHAT.path(model, True), body, leave_after=b'"index":0,"delta":{"content"')
        entry = running.entry()
        contents = running.body.count(b'"index":0,"delta":{"content"')
    assert contents == 1
    assert entry.outcome == "cancelled"
    assert (entry.reported, entry.input_tokens, entry.output_tokens, entry.cost) == (0, 0, 0, 0)
    assert (entry.estimated_input_tokens, entry.estimated_output_tokens) == (prompt_tokens(body), contents)
    assert entry.estimated_cost == cost_of(prompt_tokens(body), contents)


async def test_what_was_reported_before_a_stream_broke_off_is_not_estimated(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    model = "model-x+cut_stream:5"
    async with called(database, database_url, tmp_path, model) as running:
        await running.ask(MESSAGES.path(model, True), MESSAGES.body(model, True))
        entry = running.entry()
        told = running.simulator.served()["totals"]
    assert (entry.outcome, entry.error_type, entry.reported) == ("failed", "provider_stream_cut", 1)
    assert entry.input_tokens == told["input_tokens"] > 0
    assert entry.output_tokens == told["output_tokens"]
    assert entry.cost == cost_of(entry.input_tokens, entry.output_tokens)
    assert entry.estimated_input_tokens == 0
    assert entry.output_tokens + entry.estimated_output_tokens == max(5, entry.output_tokens)
    assert entry.charged == cost_of(entry.input_tokens, max(5, entry.output_tokens))


@pytest.mark.parametrize("stream", [False, True])
async def test_a_provider_that_tells_no_usage(
    stream: bool, database: Database, database_url: str, tmp_path: Path
) -> None:
    model = "model-x+no_usage"
    async with called(database, database_url, tmp_path, model) as running:
        body = CHAT.body(model, stream)
        await running.ask(CHAT.path(model, stream), body)
        entry = running.entry()
        deltas = running.simulator.served()["totals"]["content_deltas"]
        size = len(running.body)
    assert (entry.outcome, entry.reported, entry.cost) == ("completed", 0, 0)
    assert entry.estimated_input_tokens == prompt_tokens(body)
    assert entry.estimated_output_tokens == (deltas if stream else size // 4)
    assert entry.charged == cost_of(entry.estimated_input_tokens, entry.estimated_output_tokens)


async def test_embeddings_have_no_output(database: Database, database_url: str, tmp_path: Path) -> None:
    model = "model-x+no_usage"
    async with called(database, database_url, tmp_path, model) as running:
        body = EMBEDDINGS.body(model, False)
        await running.ask(EMBEDDINGS.path(model, False), body)
        entry = running.entry()
    assert (entry.estimated_input_tokens, entry.estimated_output_tokens) == (prompt_tokens(body), 0)


@pytest.mark.parametrize("behaviour", ["429", "500", "reset", "slow_headers"])
async def test_what_the_provider_refused_or_did_not_answer_costs_nothing(
    behaviour: str, database: Database, database_url: str, tmp_path: Path
) -> None:
    model = f"model-x+{behaviour}"
    async with called(database, database_url, tmp_path, model) as running:
        await running.ask(CHAT.path(model, True), CHAT.body(model, True))
        entry = running.entry()
    assert entry.outcome == "failed"
    assert entry.error_type.startswith("provider_")
    assert (entry.tokens, entry.charged) == (0, 0)


async def test_what_reached_no_provider_is_no_call(database: Database, database_url: str, tmp_path: Path) -> None:
    async with called(database, database_url, tmp_path, "model-x") as running:
        await running.ask("/v1/chat/completions", b"{")
        await running.ask("/v1/chat/completions", b'{"model": "claude", "stream": 3}')
        await running.ask("/v1/no/such", b"{}")
        assert running.ledger.spool.waiting == 0


async def test_a_model_without_a_price_is_said_to_have_none(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    async with called(database, database_url, tmp_path, "model-x") as running:
        await running.ask(CHAT.path("nobody-knows", False), CHAT.body("nobody-knows", False))
        entry = running.entry()
        told = running.simulator.served()["totals"]
    assert (entry.model, entry.priced, entry.charged) == ("other", 0, 0)
    assert entry.output_tokens == told["output_tokens"] > 0


async def test_without_metrics_the_ledger_is_the_same(database: Database, database_url: str, tmp_path: Path) -> None:
    async with called(database, database_url, tmp_path, "model-x", metrics={"enabled": False}) as running:
        await running.ask(CHAT.path("model-x", True), CHAT.body("model-x", True))
        entry = running.entry()
        told = running.simulator.served()["totals"]
    assert (entry.outcome, entry.output_tokens) == ("completed", told["output_tokens"])
    assert entry.cost == cost_of(told["input_tokens"], told["output_tokens"])


@pytest.mark.parametrize("api", [CHAT, MESSAGES, GEMINI], ids=lambda api: api.name)
async def test_a_full_queue_is_a_503_in_the_apis_own_shape(
    api: API, database: Database, database_url: str, tmp_path: Path
) -> None:
    async with called(database, database_url, tmp_path, "model-x") as running:
        running.ledger._settings = running.ledger._settings.model_copy(update={"backlog_calls": 1})
        await running.ask(api.path("model-x", False), api.body("model-x", False))
        running.ledger._look()
        await running.ask(api.path("model-x", False), api.body("model-x", False))
        (head, _), (answer, _) = running.sent
        assert head["status"] == 503
        assert (b"retry-after", b"5") in head["headers"]
        error = json.loads(answer["body"])["error"]
        assert "the gateway cannot write down what calls use" in error["message"]
        expected = {
            "openai_chat": ("server_error", "gateway_unavailable"),
            "anthropic_messages": ("overloaded_error", None),
            "gemini_generate": (None, 503),
        }[api.name]
        assert (error.get("type"), error.get("code")) == expected
        assert running.ledger.spool.waiting == 1
        await running.ledger._flusher.flush()
        await running.ask(api.path("model-x", False), api.body("model-x", False))
        assert running.sent[0][0]["status"] == 200


async def test_a_prepaid_users_calls_take_credits(database: Database, database_url: str, tmp_path: Path) -> None:
    service = AccountService(database)
    ann = await make_account(service, "ann", prepaid=True)
    await service.grant(ann.user_id, 10**11)
    bob = await make_account(service, "bob")
    async with called(
        database, database_url, tmp_path, "model-x", metrics={"identities": {"user_id": "raw"}}
    ) as running:
        body = CHAT.body("model-x", False)
        await running.ask(CHAT.path("model-x", False), body, secret=ann.secret)
        entry = running.entry()
        await running.ask(CHAT.path("model-x", False), body, secret=bob.secret)
        page = Page(parsed(running.app.tally.render().decode()))
    assert (entry.key_id, entry.user_id) == (ann.key_id, ann.user_id)
    assert entry.charged > 0
    labels = {"provider": "openai", "model": "model-x", "user_id": ann.user_id}
    assert page.total("tallygate_credits_used_total", **labels) == entry.charged / 10**11
    assert page.total("tallygate_credits_used_total") == entry.charged / 10**11
