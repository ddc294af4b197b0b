"""`tallygate dashboards list` and `export`: which boards there are, and their files."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tallygate.cli.commands import app
from tallygate.cli.dashboards import PostgresProvider
from tallygate.dashboards import BOARDS, POSTGRES_PROVIDERS, boards, encode
from tests.cli.running import tallygate

NAMES = [f"{board.uid}.json" for board in boards("hyperagent")]


def run(*arguments: str) -> list[str]:
    done = CliRunner().invoke(app, ["dashboards", *arguments])
    assert (done.exit_code, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_providers_of_postgresql_are_those_of_the_boards() -> None:
    assert tuple(PostgresProvider) == POSTGRES_PROVIDERS


def test_list() -> None:
    assert [line.split()[:2] for line in run("list")] == [
        [dialect, board.uid] for dialect in BOARDS for board in boards(dialect)
    ]
    (first, *_) = boards("hyperagent")
    listed = run("list", "--dialect", "hyperagent")
    assert listed[0] == f"{'hyperagent':<12} {first.uid:<36} {first.title}: {first.help}"
    assert {line.split()[0] for line in listed} == {"hyperagent"}


def test_export(tmp_path: Path) -> None:
    directory = tmp_path / "grafana" / "boards"
    arguments = ("export", str(directory), "--dialect", "hyperagent")
    number = len(NAMES)
    assert run(*arguments) == [
        *(f"CREATED   {name}: {directory / name}" for name in NAMES),
        f"Done: {number} created, 0 updated, 0 unchanged, 0 failed",
    ]
    assert {file.name: file.read_text() for file in directory.iterdir()} == {
        f"{board.uid}.json": encode(board.dashboard()) for board in boards("hyperagent")
    }
    before = (directory / NAMES[0]).stat().st_mtime_ns
    assert run(*arguments)[-1] == f"Done: 0 created, 0 updated, {number} unchanged, 0 failed"
    assert (directory / NAMES[0]).stat().st_mtime_ns == before
    (directory / NAMES[0]).write_text("{}")
    assert run(*arguments)[0] == f"UPDATED   {NAMES[0]}: {directory / NAMES[0]}"


def test_files_are_the_same_in_every_process(tmp_path: Path) -> None:
    for seed in ("1", "2"):
        ended = tallygate(tmp_path, "dashboards", "export", seed, "--dialect", "hyperagent", PYTHONHASHSEED=seed)
        assert (ended.status, ended.err) == (0, "")
    first, second = ([file.read_bytes() for file in sorted((tmp_path / seed).iterdir())] for seed in ("1", "2"))
    assert first == second
    assert json.loads(first[0])["uid"] == sorted(NAMES)[0].removesuffix(".json")


def test_a_file_that_cannot_be_written_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / NAMES[0]).mkdir()
    done = CliRunner().invoke(app, ["dashboards", "export", str(tmp_path), "--dialect", "hyperagent"])
    assert done.exit_code == 1
    *_, last = lines = done.stdout.splitlines()
    assert lines[0] == f"FAILED    {NAMES[0]}: Is a directory"
    assert last == f"Done: {len(NAMES) - 1} created, 0 updated, 0 unchanged, 1 failed"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (
            ("export", "file/boards", "--dialect", "hyperagent"),
            1,
            "file/boards: Not a directory; name a directory that can be written",
        ),
        (("export", "boards", "--dialect", "none"), 2, "--dialect: no dialect is called 'none'; known are "),
        (("list", "--dialect", "none"), 2, "--dialect: no dialect is called 'none'; known are "),
        (("export",), 2, "Usage: "),
    ],
)
def test_what_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], status: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    done = CliRunner().invoke(app, ["dashboards", *arguments])
    assert (done.exit_code, done.stdout) == (status, "")
    assert done.stderr.startswith(said)


def test_without_the_dashboards_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "grafana_foundation_sdk.py").write_text("raise ImportError('not here')")
    ended = tallygate(tmp_path, "dashboards", "list", PYTHONPATH=str(tmp_path))
    assert (ended.status, ended.out, ended.err) == (
        2,
        "",
        "dashboards need grafana-foundation-sdk; pip install 'tallygate[dashboards]'\n",
    )
