"""``tallygate dashboards``: Grafana dashboards listed, written to files, brought into a Grafana."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tallygate.dashboards import Board
    from tallygate.dashboards.installing import Outcome

app = typer.Typer(help="Grafana dashboards of each dialect.", no_args_is_help=True)


class PostgresProvider(StrEnum):
    """Who exports the figures of PostgreSQL."""

    HELM = "helm"
    OTEL = "otel"
    CLOUDSQL = "cloudsql"
    AZURE = "azure"


Dialects = Annotated[
    list[str] | None, typer.Option("--dialect", metavar="NAME", help="Of this dialect; may be given again. [tallygate]")
]
Provider = Annotated[PostgresProvider, typer.Option(help="Whose metrics of PostgreSQL the boards ask for.")]
DRY_RUN = {"CREATED": "TO CREATE", "UPDATED": "TO UPDATE"}


@app.command("list")
def list_boards(dialect: Dialects = None) -> None:
    """Which boards there are, of all dialects if none is named."""
    from tallygate.cli.commands import MISTAKEN, complain

    try:
        from tallygate.dashboards import BOARDS
    except ImportError:
        complain(NEEDS, MISTAKEN)
    for name in dialect or BOARDS:
        for board in _boards([name], PostgresProvider.HELM):
            print(f"{name:<12} {board.uid:<36} {board.title}: {board.help}")


@app.command("export")
def export_boards(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write; made when it is not there.")],
    dialect: Dialects = None,
    postgres_provider: Provider = PostgresProvider.HELM,
) -> None:
    """Write the JSON of each board to a file, to be imported or provisioned."""
    from tallygate.cli.commands import FAILED, complain

    found = _boards(dialect, postgres_provider)
    from tallygate.dashboards import encode
    from tallygate.dashboards.exporting import export

    try:
        _report(export(directory, ((f"{board.uid}.json", encode(board.dashboard()).encode()) for board in found)))
    except OSError as error:
        complain(f"{directory}: {error.strerror or error}; name a directory that can be written", FAILED)


@app.command("install")
def install_boards(
    url: Annotated[
        str, typer.Option(envvar="GRAFANA_URL", show_envvar=False, help="Grafana's address; or GRAFANA_URL.")
    ] = "http://localhost:3000",
    token_file: Annotated[
        Path | None, typer.Option(help="File with a token of a service account, role Editor; or GRAFANA_TOKEN.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Instead of a token; or GRAFANA_USER.")] = None,
    password_file: Annotated[Path | None, typer.Option(help="File with the user's password; or GRAFANA_PASS.")] = None,
    folder: Annotated[str, typer.Option(metavar="TITLE", help="Folder, made when it is not there.")] = "Tallygate",
    folder_uid: Annotated[
        str | None, typer.Option(metavar="UID", help="Of a folder that is there already, as in its address.")
    ] = None,
    dialect: Dialects = None,
    postgres_provider: Provider = PostgresProvider.HELM,
    ca_file: Annotated[Path | None, typer.Option(help="PEM file of the authorities to trust.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be done.")] = False,
) -> None:
    """Bring the boards into a Grafana; again and again, as you like."""
    from tallygate.cli.commands import FAILED, complain
    from tallygate.cli.grafana import address, authorization

    root = address(url)
    credentials = authorization(token_file, user, password_file)
    found = _boards(dialect, postgres_provider)
    from tallygate.dashboards import encode
    from tallygate.dashboards.grafana import Folder, Grafana, GrafanaError
    from tallygate.dashboards.installing import folder_titled, install

    grafana = Grafana(root, credentials, ca_file)
    where = Folder(folder_uid, folder) if folder_uid else folder_titled(folder)
    try:
        print(f"Grafana {grafana.version()} at {root}, folder {where.title}".replace("  ", " "))
        models = (json.loads(encode(board.dashboard())) for board in found)
        _report(install(grafana, models, where, dry_run=dry_run), dry_run=dry_run)
    except GrafanaError as error:
        complain(str(error), FAILED)


NEEDS = "dashboards need grafana-foundation-sdk; pip install 'tallygate[dashboards]'"


def _boards(dialects: list[str] | None, provider: PostgresProvider) -> list[Board]:
    """The boards of these dialects, of our own if none is named; ends with status 2 for one that has none."""
    from tallygate.cli.commands import MISTAKEN, complain

    try:
        from tallygate.dashboards import boards
        from tallygate.dialects import UnknownDialect
    except ImportError:
        complain(NEEDS, MISTAKEN)
    try:
        return [
            board
            for name in dict.fromkeys(dialects or ["tallygate"])
            for board in boards(name, postgres_provider=provider.value)
        ]
    except UnknownDialect as error:
        complain(f"--dialect: {error}", MISTAKEN)


def _report(outcomes: Iterable[Outcome], *, dry_run: bool = False) -> None:
    """A line for each as it is done, then their numbers; ends with status 1 when one failed."""
    from tallygate.cli.commands import FAILED
    from tallygate.dashboards.installing import Done

    counted: Counter[Done] = Counter()
    for outcome in outcomes:
        counted[outcome.done] += 1
        word = DRY_RUN.get(outcome.done, outcome.done) if dry_run else outcome.done
        print(f"{word:<9} {outcome.title}: {outcome.detail}", flush=True)
    numbers = ", ".join(f"{counted[done]} {(DRY_RUN.get(done, done) if dry_run else done).lower()}" for done in Done)
    print(f"{'Dry run' if dry_run else 'Done'}: {numbers}")
    if counted[Done.FAILED]:
        raise typer.Exit(FAILED)
