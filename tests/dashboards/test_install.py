"""`tallygate dashboards install` against Grafana's HTTP API: what is done, told, and left alone."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tallygate.cli.commands import app
from tallygate.dashboards import boards, encode
from tallygate.dashboards.grafana import Grafana as Client
from tallygate.dashboards.grafana import GrafanaError, bearer
from tallygate.dashboards.installing import FOLDER, Done, Outcome, folder_titled, install
from tests.cli.running import Ended, tallygate
from tests.dashboards.grafana import Grafana, serving

DIALECT = "hyperagent"
BOARDS = boards(DIALECT)
TOKEN = {"GRAFANA_TOKEN": "glsa_editor"}
MODEL = {"uid": "one", "title": "One", "panels": []}
OTHER = {"uid": "two", "title": "Two", "panels": []}


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with serving(Grafana()) as running:
        yield running


def client(grafana: Grafana, token: str = "glsa_editor") -> Client:
    return Client(grafana.url, bearer(token))


def installing(grafana: Grafana, *models: dict[str, Any], token: str = "glsa_editor") -> list[Outcome]:
    return list(install(client(grafana, token), models, FOLDER))


def run(directory: Path, url: str, *arguments: str, **variables: str) -> Ended:
    return tallygate(directory, "dashboards", "install", "--dialect", DIALECT, *arguments, GRAFANA_URL=url, **variables)


def lines(grafana: Grafana, word: str) -> list[str]:
    return [f"{word:<9} {board.title}: {grafana.url}/d/{board.uid}" for board in BOARDS]


def test_made_changed_and_left_alone(grafana: Grafana, tmp_path: Path) -> None:
    head = f"Grafana 11.6.0 at {grafana.url}, folder Tallygate"
    made = run(tmp_path, f"{grafana.url}/", **TOKEN)
    assert (made.status, made.err) == (0, "")
    number = len(BOARDS)
    done = f"Done: {number} created, 0 updated, 0 unchanged, 0 failed"
    assert made.out.splitlines() == [head, *lines(grafana, "CREATED"), done]
    assert grafana.folders == {"tallygate-dashboards": "Tallygate"}
    for board in BOARDS:
        held = grafana.dashboards[board.uid]
        assert grafana.places[board.uid] == "tallygate-dashboards"
        assert {key: value for key, value in held.items() if key not in ("id", "version")} == {
            key: value for key, value in json.loads(encode(board.dashboard())).items() if key not in ("id", "version")
        }

    again = run(tmp_path, grafana.url, **TOKEN)
    done = f"Done: 0 created, 0 updated, {number} unchanged, 0 failed"
    assert (again.status, again.out.splitlines()) == (0, [head, *lines(grafana, "UNCHANGED"), done])
    assert [model["version"] for model in grafana.dashboards.values()] == [1] * number
    assert sum(asked.startswith("POST") for asked in grafana.asked) == 1 + number

    for model in grafana.dashboards.values():
        model["title"] = "Somebody was here"
    back = run(tmp_path, grafana.url, **TOKEN)
    done = f"Done: 0 created, {number} updated, 0 unchanged, 0 failed"
    assert (back.status, back.out.splitlines()) == (0, [head, *lines(grafana, "UPDATED"), done])
    assert [(model["version"], model["title"]) for model in grafana.dashboards.values()] == [
        (2, board.title) for board in BOARDS
    ]


def test_a_dry_run_only_looks(grafana: Grafana, tmp_path: Path) -> None:
    ended = run(tmp_path, grafana.url, "--dry-run", **TOKEN)
    number = len(BOARDS)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.splitlines()[1:] == [
        *lines(grafana, "TO CREATE"),
        f"Dry run: {number} to create, 0 to update, 0 unchanged, 0 failed",
    ]
    assert not [asked for asked in grafana.asked if not asked.startswith("GET ")]
    assert (grafana.folders, grafana.dashboards) == ({}, {})


def test_one_that_fails_does_not_stop_the_others(grafana: Grafana) -> None:
    grafana.dashboards["one"] = {**MODEL, "title": "As a file says", "id": 1, "version": 1}
    grafana.places["one"] = ""
    grafana.provisioned.add("one")
    long = {**OTHER, "uid": "u" * 41}
    empty = {**OTHER, "uid": "empty", "title": " "}
    assert installing(grafana, MODEL, long, empty, OTHER) == [
        Outcome(
            Done.FAILED,
            "One",
            "400 Cannot save provisioned dashboard: it comes from a file; change the files there, see tallygate"
            " dashboards export",
        ),
        Outcome(Done.FAILED, "Two", "400 uid too long, max 40 characters"),
        Outcome(Done.FAILED, " ", "400 Dashboard title cannot be empty"),
        Outcome(Done.CREATED, "Two", f"{grafana.url}/d/two"),
    ]


def test_a_failure_is_the_exit_status(grafana: Grafana, tmp_path: Path) -> None:
    board = BOARDS[0]
    grafana.dashboards[board.uid] = {"uid": board.uid, "title": "As a file says", "id": 1, "version": 1}
    grafana.places[board.uid] = ""
    grafana.provisioned.add(board.uid)
    ended = run(tmp_path, grafana.url, **TOKEN)
    assert (ended.status, ended.err) == (1, "")
    assert f"FAILED    {board.title}: 400 Cannot save provisioned dashboard" in ended.out
    assert ended.out.splitlines()[-1] == f"Done: {len(BOARDS) - 1} created, 0 updated, 0 unchanged, 1 failed"


def test_a_board_that_was_moved_is_brought_back(grafana: Grafana) -> None:
    installing(grafana, MODEL)
    grafana.places["one"] = ""
    assert [outcome.done for outcome in installing(grafana, MODEL)] == [Done.UPDATED]
    assert grafana.places["one"] == FOLDER.uid


@pytest.mark.parametrize("status", [409, 412])
def test_a_folder_that_may_not_be_read_is_still_there(grafana: Grafana, status: int) -> None:
    grafana.folder_exists = status
    grafana.folders[FOLDER.uid] = "Ours"
    grafana.private.add(FOLDER.uid)
    assert installing(grafana, MODEL) == [
        Outcome(
            Done.FAILED,
            "One",
            "403 Access denied to save dashboard: the service account or user needs the role Editor",
        )
    ]


def test_what_may_not_be_read_but_written_is_told_by_its_version(grafana: Grafana) -> None:
    class Blind(Client):
        def dashboard(self, uid: str) -> None:
            return None

    blind = Blind(grafana.url, bearer("glsa_editor"))
    for done in (Done.CREATED, Done.UPDATED):
        assert [outcome.done for outcome in install(blind, [MODEL], FOLDER)] == [done]


def test_a_folder_of_ones_own(grafana: Grafana, tmp_path: Path) -> None:
    grafana.folders["ops"] = "Operations"
    assert run(tmp_path, grafana.url, "--folder-uid", "ops", **TOKEN).status == 0
    assert grafana.folders == {"ops": "Operations"}
    assert set(grafana.places.values()) == {"ops"}
    named = folder_titled("Kosten / LLM")
    assert len(named.uid) <= 40
    assert run(tmp_path, grafana.url, "--folder", named.title, **TOKEN).status == 0
    assert grafana.folders == {"ops": "Operations", named.uid: "Kosten / LLM"}
    assert set(grafana.places.values()) == {named.uid}


def test_an_older_grafana_takes_a_title_once(grafana: Grafana) -> None:
    grafana.unique_titles = True
    grafana.folders[FOLDER.uid] = FOLDER.title
    grafana.dashboards["theirs"] = {**MODEL, "uid": "theirs", "id": 7, "version": 3}
    grafana.places["theirs"] = FOLDER.uid
    assert installing(grafana, MODEL) == [
        Outcome(
            Done.FAILED,
            "One",
            "the folder had another dashboard of this title, theirs, and Grafana put this one in its place; "
            "rename that one and install again",
        )
    ]
    grafana.folders = {"elsewhere": FOLDER.title}
    with pytest.raises(GrafanaError) as refused:
        installing(grafana, MODEL)
    assert str(refused.value) == (
        "409 a folder or dashboard in the general folder with the same name already exists: name that folder with "
        "--folder-uid, or give another title with --folder"
    )


def test_a_viewer_may_not(grafana: Grafana, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("glsa_viewer\n")
    ended = run(tmp_path, grafana.url, "--token-file", "token", **TOKEN)
    assert (ended.status, ended.err) == (
        1,
        "403 You'll need additional permissions to perform this action. Permissions needed: folders:create: "
        "the service account or user needs the role Editor\n",
    )
    assert grafana.dashboards == {}


def test_a_token_nobody_knows(grafana: Grafana, tmp_path: Path) -> None:
    ended = run(tmp_path, grafana.url, GRAFANA_TOKEN="glsa_secret")
    assert (ended.status, ended.err) == (
        1,
        f"401 Invalid API key: Grafana at {grafana.url} does not know these credentials; make a token of a service "
        "account\n",
    )
    assert "glsa_secret" not in ended.out + ended.err


def test_a_user_and_a_password(grafana: Grafana, tmp_path: Path) -> None:
    assert run(tmp_path, grafana.url, GRAFANA_USER="admin", GRAFANA_PASS="pass:word").status == 0
    wrong = run(tmp_path, grafana.url, GRAFANA_USER="admin", GRAFANA_PASS="hunter2")
    assert wrong.status == 1
    assert wrong.err.startswith("401 Invalid username or password: ")
    (tmp_path / "password").write_text("pass:word\n")
    flags = ("--user", "admin", "--password-file", "password")
    # Options go before the environment, its token included.
    given = run(tmp_path, grafana.url, *flags, GRAFANA_TOKEN="glsa_unknown", GRAFANA_PASS="hunter2")
    assert given.status == 0
    assert "hunter2" not in wrong.out + wrong.err


HOW = "Set GRAFANA_TOKEN or both GRAFANA_USER and GRAFANA_PASS (or --token-file, or --user, --password-file)\n"


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        ((), {}, HOW),
        ((), {"GRAFANA_USER": "admin"}, f"GRAFANA_PASS is not set. {HOW}"),
        ((), {"GRAFANA_PASS": "hunter2"}, f"GRAFANA_USER is not set. {HOW}"),
        (("--user", "a"), TOKEN, f"GRAFANA_PASS is not set. {HOW}"),
        (("--user", "a:b"), {"GRAFANA_PASS": "p"}, "--user: 'a:b' has a colon, which basic authentication cannot"),
        (("--token-file", "none"), {}, "--token-file: none: cannot be read: No such file or directory; name a file"),
        (("--token-file", "empty"), {}, "--token-file: empty: is empty; put the secret into it"),
        (("--token-file", "two"), {}, "--token-file: holds more than a line of ASCII; put the token into it and"),
        (("--token-file", "two", "--user", "a"), {}, "--token-file and --user exclude each other; give one of them"),
        (("--url", "ftp://x"), TOKEN, "--url: 'ftp://x' is no http or https address; write it as in http://localhost"),
        (("--url", "http://x:y"), TOKEN, "--url: 'http://x:y' is no address; write it as in http://localhost:3000"),
        (("--url", "http://a:hunter2@x"), TOKEN, "--url: has a user in it; give GRAFANA_USER and GRAFANA_PASS instead"),
        (("--dialect", "none"), TOKEN, "--dialect: no dialect is called 'none'; known are "),
        (("--postgres-provider", "x"), TOKEN, "Usage: "),
        (("--wings",), TOKEN, "Usage: "),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], variables: dict[str, str], said: str
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "two").write_text("one\nhunter2\n")
    monkeypatch.chdir(tmp_path)
    unset = dict.fromkeys(("GRAFANA_URL", "GRAFANA_TOKEN", "GRAFANA_USER", "GRAFANA_PASS"))
    ended = CliRunner().invoke(app, ["dashboards", "install", *arguments], env={**unset, **variables})
    assert (ended.exit_code, ended.stdout) == (2, "")
    assert ended.stderr.startswith(said), ended.stderr
    assert "hunter2" not in ended.stderr
