"""What helper functions leave on a page."""

from __future__ import annotations

from tallygate.tally import Tally


def moved(tally: Tally, dialect: str) -> dict[str, float]:
    """The samples of a dialect that are not 0: no buckets, no process families, no ``_created``."""
    samples = {}
    for line in tally.render((dialect,)).decode().splitlines():
        name, _, value = line.rpartition(" ")
        if line.startswith(("#", "process_", "python_")) or "_bucket{" in name or "_sum" in name:
            continue
        if float(value):
            samples[name] = float(value)
    return samples
