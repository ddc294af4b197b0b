"""The command line in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

SECONDS = 60


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


def command(*arguments: str) -> list[str]:
    """The command line of ``tallygate`` with these arguments."""
    return [sys.executable, "-m", "tallygate.cli", *arguments]


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Nothing of this process's environment but what Python needs."""
    return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", **variables}


def tallygate(directory: Path, *arguments: str, **variables: str) -> Ended:
    """Run a command to its end in a directory, with these variables in its environment."""
    done = subprocess.run(
        command(*arguments),
        cwd=directory,
        env=environment(variables),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@contextmanager
def started(directory: Path, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A command that runs; killed at the end if it still does."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=directory,
        env=environment(variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def line_with(stream: IO[str] | None, text: str) -> str:
    """Read lines until one has this text; fails at the stream's end."""
    assert stream is not None
    read = []
    for line in stream:
        read.append(line)
        if text in line:
            return line
    raise AssertionError(f"no line with {text!r} in:\n{''.join(read)}")
