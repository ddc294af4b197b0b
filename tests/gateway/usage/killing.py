"""Load on a gateway whose workers are killed again and again, and what must be true of the ledger afterwards."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.gateway.state.environment import Environment
from tallygate.gateway.state.holds import unpack
from tallygate.gateway.state.local import HOLDS
from tallygate.gateway.upstream import Upstream, UpstreamError, open_upstream
from tallygate.gateway.usage.entry import Entry
from tallygate.gateway.usage.spool import Spool
from tests.gateway.apis import API, APIS
from tests.gateway.running import PATIENT
from tests.gateway.usage.entries import summed, written
from tests.gateway.usage.served import Account, make_account, settings_for

WAYS = [(api, stream) for api in APIS for stream in ((False, True) if api.streams else (False,))]
MODELS = {api.name: f"model-{api.name}+slow_stream:0.002" for api in APIS}
"""Each API has its own; streams take a while, so that there are always some."""
ENDS = {
    "openai_chat": b"data: [DONE]\n\n",
    "openai_completions": b"data: [DONE]\n\n",
    "anthropic_messages": b'data: {"type":"message_stop"}\n\n',
}
"""What a client takes for the end of a stream, even if the connection then breaks."""
CREDIT = 10**15
PROGRAM = [sys.executable, "-m", "tests.gateway.usage.nursery"]
Mark = tuple[str, str, bool, int]
"""What tells a call from all others: the key, the model, whether it is streamed, and how many tokens the prompt has."""


@dataclass
class Load:
    """Calls that were made, and those whose answers' ends were seen."""

    made: set[Mark] = field(default_factory=set)
    finished: set[Mark] = field(default_factory=set)
    numbers: Counter[tuple[str, str, bool]] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    """Answers with another status than 200."""
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, port: int, account: Account, stop: asyncio.Event, chance: random.Random) -> None:
        """One client: call after call, in every way there is."""
        while not stop.is_set():
            api, stream = chance.choice(WAYS)
            # On a connection of its own: one that was used before may break for a reason that makes clients ask again.
            client = open_upstream()
            try:
                await self._call(client, port, account, api, stream)
            finally:
                await client.close()
            self.progress.set()

    async def until(self, finished: int) -> None:
        """Until so many calls were finished."""
        while len(self.finished) < finished:
            self.progress.clear()
            await self.progress.wait()

    async def _call(self, client: Upstream, port: int, account: Account, api: API, stream: bool) -> None:
        model = MODELS[api.name]
        group = (account.key_id, model, stream)
        self.numbers[group] += 1
        mark = (*group, self.numbers[group])
        self.made.add(mark)
        headers = [(name.encode(), value.encode()) for name, value in account.headers.items()]
        body = request(api, model, stream, mark[3])
        received, whole, status = b"", False, 0
        try:
            reply = await client.send(
                "POST", f"http://127.0.0.1:{port}{api.path(model, stream)}", headers, body, PATIENT
            )
            status = reply.status
            async for piece in reply.body():
                received += piece
            whole = True
        except (UpstreamError, OSError):
            # Its worker was killed.
            await asyncio.sleep(0.001)
        if status not in (0, 200):
            self.refused[status] += 1
        elif status == 200 and (whole or (stream and api.name in ENDS and received.endswith(ENDS[api.name]))):
            self.finished.add(mark)


def request(api: API, model: str, stream: bool, tokens: int) -> bytes:
    """A request whose prompt has so many tokens, as the simulator counts them."""
    text, asked = "word" * tokens, json.loads(api.body(model, stream))
    match api.name:
        case "openai_chat" | "anthropic_messages":
            asked["messages"][0]["content"] = text
        case "openai_completions":
            asked["prompt"] = text
        case "gemini_generate":
            asked["contents"][0]["parts"][0]["text"] = text
        case _:
            asked["input"] = text
    return json.dumps(asked).encode()


class Nursery:
    """The workers, as a program of their own."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout is not None
        self.port = int(process.stdout.readline())

    def workers(self) -> list[int]:
        """Process ids."""
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def nursery(directory: Path, settings: dict[str, Any], workers: int) -> Iterator[Nursery]:
    """Running workers; at the end they drain. ``directory``: for the settings, and the ledger of their metrics."""
    file = directory / "settings.json"
    file.write_text(json.dumps(settings))
    process = subprocess.Popen(
        [*PROGRAM, str(file), str(workers)], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield Nursery(process)
    finally:
        process.terminate()
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise
    assert process.returncode == 0


@asynccontextmanager
async def under_load(port: int, accounts: Sequence[Account], seed: int = 1) -> AsyncIterator[Load]:
    """Load by as many clients as there are accounts; it ends when all calls that were made have ended."""
    load, stop = Load(), asyncio.Event()
    clients = [
        asyncio.create_task(load.run(port, account, stop, random.Random(seed + number)))
        for number, account in enumerate(accounts)
    ]
    await load.until(len(accounts))
    yield load
    await load.until(len(load.finished) + len(accounts))
    stop.set()
    await asyncio.gather(*clients)


async def kill(workers: Callable[[], list[int]], kills: int, pause: tuple[float, float], seed: int = 1) -> None:
    """``kill -9`` of one of the workers, again and again. pause: seconds between, at least and at most."""
    chance = random.Random(seed)
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(*pause))
        if there := workers():
            os.kill(chance.choice(there), signal.SIGKILL)


async def make_accounts(service: AccountService, users: int, keys: int) -> list[Account]:
    """Prepaid users, and clients of theirs with one key each."""
    accounts = []
    for number in range(users):
        first = await make_account(service, f"user {number}", prepaid=True)
        await service.grant(first.user_id, CREDIT)
        accounts.append(first)
        for more in range(1, keys):
            made = await service.create_key(first.user_id, name=f"key {more}", concurrency=1000)
            accounts.append(Account(first.user_id, made.key.id, made.secret))
    return accounts


def settings(url: str, directory: Path, simulator: str) -> dict[str, Any]:
    """For the workers of one machine, whose state is in this directory."""
    made = settings_for(url, directory, simulator, *MODELS.values(), log={"level": "error"})
    return {**made, "limits": {}, "usage": {"flush_seconds": 0.05}}


@dataclass
class Found:
    """What the ledger has of a load."""

    calls: int
    reported: int


async def check(database: Database, load: Load, accounts: Sequence[Account]) -> Found:
    """Every finished call is in the database once, none is there twice, and all sums are those of the calls."""
    entries = await written(database)
    counted = Counter((one.key_id, one.model, bool(one.stream), one.input_tokens) for one in entries if one.reported)
    assert [mark for mark, count in counted.items() if count > 1] == [], "twice"
    assert load.finished - counted.keys() == set(), "lost"
    assert counted.keys() - load.made == set(), "never made"
    _check_sums(entries, await summed(database))
    service = AccountService(database)
    for user in {account.user_id for account in accounts}:
        charged = sum(entry.charged for entry in entries if entry.user_id == user)
        assert (await service.user(user)).spent == charged
    return Found(len(entries), len(counted))


def _check_sums(entries: list[Entry], days: dict[Any, dict[str, int]]) -> None:
    sums: dict[Any, Counter[str]] = {}
    names = ("input_tokens", "output_tokens", "cost", "estimated_cost")
    for entry in entries:
        row = sums.setdefault((entry.day, entry.key_id, entry.user_id, entry.provider, entry.model), Counter())
        row.update({"calls": 1, "failed": entry.outcome == "failed", **{name: getattr(entry, name) for name in names}})
    wanted = {key: {name: row[name] for name in ("calls", "failed", *names)} for key, row in sums.items()}
    assert {key: {name: row[name] for name in ("calls", "failed", *names)} for key, row in days.items()} == wanted


def held_and_spent(directory: Path) -> tuple[int, dict[str, int]]:
    """How much is held on this machine, and what its purses say was spent, by user."""
    environment = Environment(directory)
    try:
        holds = environment.database(HOLDS)
        Spool(environment)
        held, spent = 0, {}
        with environment.read() as transaction:
            for key, record in transaction.cursor(db=holds):
                amount, *shares = unpack(bytes(record))
                held += sum(shares[1::2])
                if bytes(key).startswith(b"purse:user:"):
                    spent[bytes(key).decode().split(":")[2]] = amount
        return held, spent
    finally:
        environment.close()
