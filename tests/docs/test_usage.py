"""The commands and the query of docs/usage.md, on a ledger like the one that the page shows."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from tallygate.gateway.accounts.service import AccountService
from tallygate.gateway.database import Database
from tallygate.gateway.usage.entry import encode
from tallygate.gateway.usage.writing import Writer
from tests.docs.pages import written_in
from tests.docs.test_accounts import shell
from tests.docs.test_commands import commands, of_page
from tests.gateway.usage.entries import call

PAGE = "docs/usage.md"


async def fill(file: Path) -> str:
    """Make the ledger; returns the user's id."""
    database = Database(f"sqlite:///{file}")
    await database.start()
    ada = await AccountService(database).create_user(name="ada")
    writer = Writer(database, "queue")
    await writer.find_position(0)
    calls = [
        call(user_id=ada.id, cost=3 * 10**11 + 1),
        call(user_id=ada.id, cost=1, outcome="cancelled", estimated_cost=10**11),
        call(key_id="", user_id="", cost=0, outcome="failed", error_type="provider_timeout"),
    ]
    await writer.write([(number, encode(entry)) for number, entry in enumerate(calls, 1)], left=0)
    await database.close()
    return ada.id


def test_the_page(tmp_path: Path) -> None:
    user = asyncio.run(fill(tmp_path / "tallygate.db"))
    (shown,) = of_page(PAGE)
    (table,) = [snippet for snippet in written_in("text") if snippet.page == PAGE]
    by_user, by_model, by_day = commands(shown)
    done = shell(by_user, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == table.text.replace("usr_01m7zeh8tjgamkxde3cztnp8yp", user)
    done = shell(by_model, tmp_path)
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["model", "calls"], ["gpt-4o", "2"]]
    done = shell(by_day, tmp_path)
    assert [line["group"] for line in json.loads(done.stdout)["lines"]] == ["2026-11-21"]
    (query,) = [snippet for snippet in written_in("sql") if snippet.page == PAGE]
    with closing(sqlite3.connect(tmp_path / "tallygate.db")) as connection:
        rows = connection.execute(query.text).fetchall()
    assert rows == [("2026-11-21", "gpt-4o", 3, 4.00000000002)]
