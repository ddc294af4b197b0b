"""`tallygate rules`. What it needs is imported when it runs, so that help comes at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Alerts and recording rules for Prometheus.")


@app.callback()
def rules() -> None:
    """Alerts and recording rules for Prometheus."""


@app.command()
def export(
    directory: Annotated[
        Path | None, typer.Argument(metavar="[DIR]", help="Where to write DIALECT.rules.yml; else to the screen.")
    ] = None,
    dialect: Annotated[
        list[str] | None, typer.Option(help="tallygate, aurora, gatewayz or hyperagent; may be given again.")
    ] = None,
    runbooks: Annotated[
        str | None, typer.Option(metavar="URL", help="Address of the folder in which each alert has its page.")
    ] = None,
    availability_objective: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="Of LLM calls that do not fail; 99.5.")
    ] = None,
    latency_objective: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="Of calls without streaming that end in time; 95.")
    ] = None,
    latency_seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="What in time is: a bucket of the histogram; 30.")
    ] = None,
    first_token_objective: Annotated[
        float | None, typer.Option(metavar="PERCENT", help="Of streams whose first token comes in time; 95.")
    ] = None,
    first_token_seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="What in time is: a bucket of the histogram; 2.5.")
    ] = None,
    spend_per_hour: Annotated[float | None, typer.Option(metavar="USD", help="Limit of an hour's spend; 50.")] = None,
    daily_budget: Annotated[float | None, typer.Option(metavar="USD", help="Of 24 hours; no alerts without.")] = None,
    monthly_budget: Annotated[float | None, typer.Option(metavar="USD", help="Of 30 days; no alerts without.")] = None,
    memory_bytes: Annotated[
        float | None, typer.Option(metavar="BYTES", help="Memory of a machine, for gatewayz; no alert without.")
    ] = None,
    cpus: Annotated[
        float | None, typer.Option(metavar="NUMBER", help="Processors of a machine, for gatewayz; no alert without.")
    ] = None,
) -> None:
    """Write Prometheus rule files: alerts, and the recording rules that they need."""
    from tallygate.cli.commands import FAILED, MISTAKEN, complain
    from tallygate.rules import MADE_BY, RUNBOOKS, RuleError, Targets, groups_of, written

    told = {
        "availability_objective": availability_objective,
        "latency_objective": latency_objective,
        "latency_seconds": latency_seconds,
        "first_token_objective": first_token_objective,
        "first_token_seconds": first_token_seconds,
        "spend_per_hour": spend_per_hour,
        "daily_budget": daily_budget,
        "monthly_budget": monthly_budget,
        "memory_bytes": memory_bytes,
        "cpus": cpus,
    }
    where = runbooks or RUNBOOKS
    try:
        targets = Targets(**{name: number for name, number in told.items() if number is not None})
        groups = {name: groups_of(name, targets) for name in dict.fromkeys(dialect or ["tallygate"])}
        if directory is None:
            sys.stdout.write(MADE_BY + written((one for some in groups.values() for one in some), runbooks=where))
            return
        files = {
            directory / f"{name}.rules.yml": MADE_BY + written(some, runbooks=where) for name, some in groups.items()
        }
    except RuleError as error:
        complain(f"--{error}".replace(error.field, error.field.replace("_", "-"), 1), MISTAKEN)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            file.write_text(text, encoding="utf-8")
            print(file)
    except OSError as error:
        complain(f"{error.filename or directory}: cannot be written: {error.strerror}", FAILED)
