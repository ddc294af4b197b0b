"""Dashboards as files: one a board, the same bytes each time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from tallygate.dashboards.installing import Done, Outcome


def export(directory: Path, files: Iterable[tuple[str, bytes]]) -> Iterator[Outcome]:
    """Write files, by name and content, to a directory that is made when it is not there; tell how each went.

    A file that is right already is not touched. Raises OSError when the directory cannot be made.
    """
    directory.mkdir(parents=True, exist_ok=True)
    for name, content in files:
        file = directory / name
        try:
            before = file.read_bytes() if file.exists() else None
            if before != content:
                file.write_bytes(content)
        except OSError as error:
            yield Outcome(Done.FAILED, name, error.strerror or str(error))
        else:
            done = Done.UNCHANGED if before == content else Done.CREATED if before is None else Done.UPDATED
            yield Outcome(done, name, str(file))
