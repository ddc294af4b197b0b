"""docs/dashboards.md: its table of boards, its options, and its commands against a Grafana."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from tallygate.cli.commands import app
from tallygate.dashboards import BOARDS, POSTGRES_PROVIDERS, boards
from tallygate.dashboards.postgresql import FIGURES
from tests.dashboards.grafana import Grafana, serving
from tests.docs.pages import ROOT, written_in
from tests.docs.test_accounts import shell
from tests.docs.test_commands import of_page

PAGE = "docs/dashboards.md"
TEXT = (ROOT / PAGE).read_text()


def table(head: str) -> Iterator[list[str]]:
    """The rows below a head."""
    _, _, below = TEXT.partition(f"| {head} |")
    for line in below.splitlines()[2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def test_every_board_is_told_of() -> None:
    assert list(table("dialect | board | uid | what it is for")) == [
        [f"`{dialect}`", board.title, f"`{board.uid}`", board.help] for dialect in BOARDS for board in boards(dialect)
    ]


def test_every_option_is_told_of() -> None:
    told = {name for row in table("option | environment | what") for name in re.findall(r"`(--[a-z-]+)`", row[0])}
    group = typer.main.get_command(app)
    install = group.commands["dashboards"].commands["install"]  # type: ignore[attr-defined]  # a group has them
    assert told == {option for parameter in install.params for option in parameter.opts} - {"--help"}


def test_every_provider_of_postgresql_is_told_of_with_what_it_wants() -> None:
    rows = {
        row[0].strip("`"): row[2]
        for row in table("`--postgres-provider` | who exports | what it wants, and what it does not tell")
    }
    assert tuple(rows) == POSTGRES_PROVIDERS
    for provider, wants in rows.items():
        note = FIGURES[provider]().note
        # Each setting that the page names is in the panels' own words.
        for setting in re.findall(r"`([\w.-]+)`", wants):
            assert setting in note


def test_boards_are_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export, _ = of_page(PAGE)
    monkeypatch.chdir(tmp_path)
    for line in export.text.splitlines():
        done = CliRunner().invoke(app, line.removeprefix("tallygate ").split())
        assert done.exit_code == 0, done.output
    assert {file.stem for file in (tmp_path / "boards").iterdir()} == {
        board.uid for dialect in ("tallygate", "archestra", "hyperagent") for board in boards(dialect)
    }


def test_boards_are_installed_as_shown(tmp_path: Path) -> None:
    _, install = of_page(PAGE)
    shown, _ = [snippet for snippet in written_in("text") if snippet.page == PAGE]
    with serving(Grafana({"glsa_...": "Editor"})) as grafana:
        done = shell(install.text.replace("http://localhost:3000", grafana.url), tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        *_, printed = done.stdout.replace(grafana.url, "http://localhost:3000").partition("unchanged, 0 failed\n")
        assert printed == shown.text
        assert set(grafana.dashboards) == {board.uid for board in boards()}
