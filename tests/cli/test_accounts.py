"""`tallygate users`, `keys`, `credits`: what they print, how they end, and that a running gateway knows at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tallygate.cli.commands import app
from tallygate.simulator import run_in_thread
from tests.cli.running import Ended, tallygate
from tests.gateway.processes import served
from tests.services.databases import database_url
from tests.services.postgres import postgres

__all__ = ["database_url", "postgres"]

SECRET = re.compile(r"tg-[0-9A-Za-z]{49}\n")
CHAT = json.dumps({"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}]}).encode()


class Commands:
    """Runs commands in this process."""

    def __init__(self, directory: Path, url: str) -> None:
        self._environ = {
            "TALLYGATE_ACCOUNTS__DATABASE_URL": url,
            "TALLYGATE_SHARED__STATE_DIRECTORY": str(directory / "state"),
        }
        self._none = str(directory / "no.env")

    def __call__(self, *arguments: str, status: int = 0) -> Ended:
        result = CliRunner().invoke(app, [*arguments, "--env-file", self._none], env=self._environ)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == status, result.output
        return Ended(result.exit_code, result.stdout, result.stderr)

    def json(self, *arguments: str) -> Any:
        """What a command tells programs."""
        return json.loads(self(*arguments, "--json").out)


@pytest.fixture
def run(tmp_path: Path, database_url: str) -> Commands:
    return Commands(tmp_path, database_url)


@pytest.fixture
def on_sqlite(tmp_path: Path) -> Commands:
    return Commands(tmp_path, f"sqlite:///{tmp_path / 'accounts.db'}")


def test_a_user_from_making_to_deactivation(run: Commands) -> None:
    made = run.json("users", "create", "Ada", "--team", "--plan", "pro", "--prepaid", "--monthly-budget", "50")
    assert made["id"].startswith("usr_")
    assert (made["name"], made["kind"], made["plan"], made["prepaid"], made["balance"]) == (
        "Ada",
        "team",
        "pro",
        True,
        "0.00",
    )
    assert made["limits"] == {
        "requests_per_minute": None,
        "tokens_per_minute": None,
        "concurrency": None,
        "daily_budget": None,
        "monthly_budget": "50.00",
    }
    changed = run.json(
        "users", "set", "Ada", "--name", "Lovelace", "--monthly-budget", "none", "--models", "a, b", "--trial-ends",
        "2027-01-31", "--concurrency", "5", "--postpaid",
    )  # fmt: skip
    assert (changed["id"], changed["name"], changed["models"]) == (made["id"], "Lovelace", ["a", "b"])
    assert (changed["trial_ends_at"], changed["prepaid"]) == ("2027-01-31T00:00:00Z", False)
    assert (changed["limits"]["monthly_budget"], changed["limits"]["concurrency"]) == (None, 5)
    assert run.json("users", "deactivate", "Lovelace")["status"] == "inactive"
    assert run.json("users", "list", "--status", "active") == []
    assert run.json("users", "activate", made["id"])["status"] == "active"
    assert [user["name"] for user in run.json("users", "list", "--plan", "pro")] == ["Lovelace"]
    assert run.json("users", "show", "Lovelace")["models"] == ["a", "b"]


def test_a_key_is_alone_on_standard_output(run: Commands) -> None:
    """So that a script can say KEY=$(tallygate keys create Ada laptop)."""
    run("users", "create", "Ada")
    made = run("keys", "create", "Ada", "laptop", "--expires", "30d")
    assert SECRET.fullmatch(made.out)
    (key,) = run.json("keys", "list")
    assert made.err == f"{key['id']} 'laptop': this is the key, shown only now\n"
    assert key["prefix"] == made.out[:9]
    left = datetime.fromisoformat(key["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29, hours=23) < left <= timedelta(days=30)
    rotated = run("keys", "rotate", key["id"], "--grace", "1h")
    assert SECRET.fullmatch(rotated.out)
    assert rotated.out != made.out
    assert re.search(r"^the old one works until 20\d\d-.*\+00:00$", rotated.err, re.MULTILINE)
    told = run.json("keys", "rotate", key["id"])
    assert SECRET.fullmatch(told["secret"] + "\n")
    for shown in (run("keys", "show", key["id"]).out, run("keys", "list").out, json.dumps(run.json("keys", "list"))):
        assert told["secret"][9:] not in shown
        assert told["secret"][:9] in shown


def test_keys_change_and_end(run: Commands) -> None:
    run("users", "create", "Ada")
    run("keys", "create", "Ada", "ci", "--cache", "--requests-per-minute", "60", "--daily-budget", "0.5")
    (key,) = run.json("keys", "list", "--user", "Ada")
    assert (key["caches"], key["limits"]["requests_per_minute"], key["limits"]["daily_budget"]) == (True, 60, "0.50")
    changed = run.json("keys", "set", key["id"], "--no-cache", "--requests-per-minute", "none", "--name", "build")
    assert (changed["caches"], changed["limits"]["requests_per_minute"], changed["name"]) == (False, None, "build")
    assert run.json("keys", "deactivate", key["id"])["status"] == "inactive"
    assert run.json("keys", "list", "--status", "active") == []
    assert run.json("keys", "activate", key["id"])["status"] == "active"


def test_credits(run: Commands) -> None:
    run("users", "create", "Ada")
    assert run.json("credits", "grant", "Ada", "25", "--note", "May", "--idempotency-key", "may")["balance"] == "25.00"
    assert run.json("credits", "grant", "Ada", "25", "--note", "May", "--idempotency-key", "may")["balance"] == "25.00"
    assert run.json("credits", "take", "Ada", "0.00000000001")["granted"] == "24.99999999999"
    listed = run.json("credits", "list", "Ada")
    assert [(one["amount"], one["note"]) for one in listed] == [("25.00", "May"), ("-0.00000000001", "")]
    assert run("credits", "grant", "Ada", "26", "--idempotency-key", "may", status=4).err == (
        'idempotency_key: "may": stands for another grant, of 25.00 USD; use a new one for a new grant\n'
    )


def test_for_people(on_sqlite: Commands) -> None:
    ada = on_sqlite("users", "create", "Ada", "--prepaid")
    assert re.match(r"a new database is made: sqlite:////.*accounts\.db\n", ada.err)
    lines = dict(line.split(maxsplit=1) for line in ada.out.splitlines())
    assert (lines["name"], lines["prepaid"], lines["models"], lines["balance"]) == ("Ada", "yes", "-", "0.00")
    on_sqlite("users", "create", "Search team", "--team")
    table = on_sqlite("users", "list").out.splitlines()
    assert table[0].split() == ["id", "name", "kind", "status", "plan", "balance"]
    assert {re.split(r"  +", line)[1] for line in table[1:]} == {"Ada", "Search team"}
    assert len({line.find("active") - line.find("user") for line in table if "user " in line}) == 1
    assert on_sqlite("credits", "list", "Ada").out == "created_at  amount  note\n"


WRONG = [
    (("users", "show", "Bob"), 3, 'user: "Bob": is nobody\'s id or name; see `tallygate users list`'),
    (("keys", "show", "key_0"), 3, 'key: "key_0": is no key\'s id; see `tallygate keys list`'),
    (("keys", "create", "Bob", "k"), 3, 'user: "Bob": is nobody\'s id or name; see `tallygate users list`'),
    (("users", "create", "Ada"), 4, 'name: "Ada": is taken; give another name'),
    (("users", "create", ""), 2, 'name: "": is empty; give it a value'),
    (("users", "set", "Ada", "--concurrency", "x"), 2, 'concurrency: "x": is no whole number; write one, or none'),
    (
        ("users", "set", "Ada", "--concurrency", "0"),
        2,
        "concurrency: 0: is not between 1 and 2147483647; use a number in these bounds",
    ),
    (
        ("users", "set", "Ada", "--daily-budget", "1,5"),
        2,
        'daily_budget: "1,5": is no amount; write USD with a decimal point, as in 12.50',
    ),
    (
        ("users", "set", "Ada", "--trial-ends", "soon"),
        2,
        'trial_ends_at: "soon": is no time; write it as in 2027-01-31, 2027-01-31T12:00:00Z or 30d',
    ),
    (("keys", "rotate", "key_0", "--grace", "5"), 2, 'grace: "5": is no time; write it as in 90s, 15m, 24h, 30d or 2w'),
    (("credits", "grant", "Ada", "0"), 2, 'usd: "0": is not above 0; say how much; `credits take` takes some away'),
    (
        ("credits", "take", "Ada", "1"),
        2,
        'amount: "-1.00": would make the credits ever granted -1.00 USD; '
        "they were 0.00, and stay between 0 and 90000000.00",
    ),
]


def test_what_goes_wrong_is_one_line_and_a_status_of_its_own(on_sqlite: Commands) -> None:
    on_sqlite("users", "create", "Ada")
    for arguments, status, said in WRONG:
        ended = on_sqlite(*arguments, status=status)
        assert (ended.out, ended.err) == ("", said + "\n")


def test_a_database_that_is_away_ends_with_1(tmp_path: Path) -> None:
    run = Commands(tmp_path, f"postgresql://u:hunter2@/db?host={tmp_path}")
    ended = run("users", "list", status=1)
    assert (ended.out, ended.err) == (
        "",
        f"accounts.database_url: postgresql://u:********@/db?host={tmp_path}: cannot be reached: "
        "No such file or directory; start the database or mend the address\n",
    )


def test_a_wrong_url_ends_with_2_and_shows_no_password(tmp_path: Path) -> None:
    ended = Commands(tmp_path, "mysql://u:hunter2@h/db")("users", "list", status=2)
    assert ended.err == (
        "environment variable TALLYGATE_ACCOUNTS__DATABASE_URL: is no URL of a database; "
        "write postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE\n"
    )


@pytest.mark.parametrize("command", ["users", "keys", "credits"])
def test_help_as_a_program(tmp_path: Path, command: str) -> None:
    ended = tallygate(tmp_path, command, "--help")
    assert (ended.status, ended.err) == (0, "")
    assert f"{command} [OPTIONS] COMMAND" in ended.out


@pytest.fixture
def provider() -> Iterator[str]:
    with run_in_thread() as simulator:
        yield simulator.url


def test_a_running_gateway_knows_at_once(tmp_path: Path, provider: str) -> None:
    """Two workers, and the command line beside them: no call passes after the command has ended."""
    url = f"sqlite:///{tmp_path / 'accounts.db'}"
    run = Commands(tmp_path, url)
    settings = {
        "accounts": {"enabled": True, "database_url": url},
        "shared": {"state_directory": str(tmp_path / "state")},
        "server": {"workers": 2},
    }
    with served(tmp_path, provider, **settings) as gateway:
        run("users", "create", "Ada")
        made = run.json("keys", "create", "Ada", "laptop")

        def statuses(secret: str) -> set[int]:
            """Of calls on connections of their own, which both workers take."""
            found = set()
            for _ in range(20):
                with closing(gateway.connection()) as connection:
                    connection.request("POST", "/v1/chat/completions", CHAT, {"authorization": f"Bearer {secret}"})
                    answer = connection.getresponse()
                    answer.read()
                    found.add(answer.status)
            return found

        assert statuses(made["secret"]) == {200}
        run("keys", "deactivate", made["key"]["id"])
        assert statuses(made["secret"]) == {401}
        run("keys", "activate", made["key"]["id"])
        assert statuses(made["secret"]) == {200}
        rotated = run.json("keys", "rotate", made["key"]["id"])
        assert statuses(made["secret"]) == {401}
        assert statuses(rotated["secret"]) == {200}
        run("users", "deactivate", "Ada")
        assert statuses(rotated["secret"]) == {403}
        log = gateway.said
    assert made["secret"] not in json.dumps(log)


def test_a_gateway_whose_database_is_away_does_not_start(tmp_path: Path, provider: str) -> None:
    config = tmp_path / "gateway.json.yaml"
    config.write_text(
        json.dumps(
            {
                "accounts": {"enabled": True, "database_url": f"postgresql://u:hunter2@/db?host={tmp_path}"},
                "shared": {"state_directory": str(tmp_path / "state")},
                "providers": {"p": {"base_url": provider}},
                "server": {"port": 0},
            }
        )
    )
    ended = tallygate(tmp_path, "serve", "--config", str(config))
    assert ended.status == 1
    assert "hunter2" not in ended.out + ended.err
    assert f"postgresql://u:********@/db?host={tmp_path}: cannot be reached: No such file or directory" in ended.err
    assert "Traceback" not in ended.err
    shown = tallygate(tmp_path, "config", "--config", str(config))
    assert "hunter2" not in shown.out
    assert f'database_url = "postgresql://u:********@/db?host={tmp_path}"' in shown.out
