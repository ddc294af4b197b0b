"""Settings for a command, and the ways in which a command that serves may fail."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tallygate.cli.commands import FAILED, MISTAKEN, complain
from tallygate.gateway.settings import ConfigurationError, Problem, Settings, load


def settings_from(
    flags: Mapping[str, Any],
    config: Path | None,
    env_file: Path,
    master_key_file: Path | None = None,
    *,
    serves: bool = True,
) -> Settings:
    """The settings in force; ends with status 2 and a line for each problem when there are none.

    serves: as ``load``.
    """
    problems: list[Problem] = []
    if master_key_file is not None:
        try:
            key = master_key_file.read_text(encoding="utf-8").strip()
            flags = {**flags, "server.master_key": key}
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            problem = f"cannot be read: {reason}"
            problems.append(
                Problem("--master-key-file", problem, "name a file that holds the key", str(master_key_file))
            )
        else:
            if not key:
                problems.append(Problem("--master-key-file", "is empty", "put the key into it", str(master_key_file)))
    try:
        settings = load(flags, config, os.environ, env_file, serves=serves)
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        complain("\n".join(map(str, problems)), MISTAKEN)
    return settings


@contextmanager
def ended_well() -> Iterator[None]:
    """What cannot be had from the system is told in one line, with status 1."""
    from tallygate.gateway.server import StartError
    from tallygate.ledger import LedgerError

    try:
        yield
    except (StartError, LedgerError) as error:
        complain(str(error), FAILED)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        complain(f"{place}{error.strerror or error}", FAILED)
