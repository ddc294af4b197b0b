"""Options that many commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", "-c", envvar="TALLYGATE_CONFIG", help="Configuration file, TOML or YAML.")
]
Dotenv = Annotated[Path, typer.Option("--env-file", help="File with variables; the environment goes before it.")]
ENV_FILE = Path(".env")
JSON = Annotated[bool, typer.Option("--json", help="As JSON, with all there is.")]
