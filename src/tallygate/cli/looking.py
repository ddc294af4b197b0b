"""`tallygate top` and `tallygate doctor`: their options. What they need is imported when they run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from tallygate.cli.options import ENV_FILE, JSON, Config, Dotenv

URL = Annotated[
    str | None,
    typer.Argument(metavar="URL", help="The metrics page; /metrics where no path is told. Else the local gateway's."),
]
Key = Annotated[
    str | None,
    typer.Option(
        metavar="KEY",
        envvar="TALLYGATE_METRICS__SECRET",
        help="Shown as a bearer token. Others on this machine can see a command line: better use --key-file.",
    ),
]
KeyFile = Annotated[Path | None, typer.Option(metavar="FILE", help="File that holds the key.")]
CAFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Certificates to trust over https; else the system's.")
]
Insecure = Annotated[bool, typer.Option("--insecure", help="Trust any certificate.")]
Timeout = Annotated[float, typer.Option(metavar="SECONDS", min=0.1, max=600, help="Time for a whole answer.")]

INTERVAL = 5.0
"""Seconds."""
PACKAGES = {"prometheus_client", "rich", "textual"}


@contextmanager
def extra() -> Iterator[None]:
    """Where packages of the extra `terminal` are missing, say what brings them."""
    from tallygate.cli.commands import FAILED, complain

    try:
        yield
    except ModuleNotFoundError as missing:
        name = (missing.name or "").partition(".")[0]
        if name not in PACKAGES:
            raise
        complain(f"this needs {name.replace('_', '-')}: pip install 'tallygate[gateway,terminal]'", FAILED)


def top(
    url: URL = None,
    once: Annotated[bool, typer.Option("--once", help="Print it and end: lines of fixed columns.")] = False,
    json: JSON = False,
    interval: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0, max=3600, help="Between two pages; 0, once: all since the start."),
    ] = INTERVAL,
    key: Key = None,
    key_file: KeyFile = None,
    ca_file: CAFile = None,
    insecure: Insecure = False,
    timeout: Timeout = 10.0,
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
) -> None:
    """What a gateway does, at a glance: rates, costs, percentiles, providers and models. Reads any dialect."""
    with extra():
        from tallygate.cli import top as looking
        from tallygate.cli.targets import target

    found = target(
        url,
        config=config,
        env_file=env_file,
        key=key,
        key_file=key_file,
        ca_file=ca_file,
        insecure=insecure,
        timeout=timeout,
    )
    if once or json:
        sys.stdout.write(looking.once(found, interval, as_json=json))
    else:
        looking.watch(found, interval or INTERVAL)


def doctor(
    url: URL = None,
    json: JSON = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings end with status 1 too.")] = False,
    key: Key = None,
    key_file: KeyFile = None,
    ca_file: CAFile = None,
    insecure: Insecure = False,
    timeout: Timeout = 10.0,
    config: Config = None,
    env_file: Dotenv = ENV_FILE,
) -> None:
    """Why is there no data? Ask for a metrics page as Prometheus does, and explain. Status 0: well, 1: not."""
    with extra():
        from tallygate.cli.doctor import examine
        from tallygate.cli.targets import target

    found = target(
        url,
        config=config,
        env_file=env_file,
        key=key,
        key_file=key_file,
        ca_file=ca_file,
        insecure=insecure,
        timeout=timeout,
    )
    told, status = examine(found, strict=strict, as_json=json)
    sys.stdout.write(told)
    raise typer.Exit(status)
