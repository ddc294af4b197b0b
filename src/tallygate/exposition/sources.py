"""Families from elsewhere on a tally's page, after its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final, NamedTuple, Protocol

EOF: Final = b"# EOF\n"
"""The end of an OpenMetrics page."""


class ForeignFamily(NamedTuple):
    """A metric family that is written already."""

    name: str
    owned_names: frozenset[str]
    """Every family and sample name that it has, in any format."""
    body: bytes
    """Its lines in the format that was asked for, metadata included."""
    gives_way: bool = False
    """Whether it says what another family of the same name says too, so that nothing is lost without it."""


class Source(Protocol):
    """Has families to show."""

    def names(self) -> Collection[str]:
        """Family and sample names that are known before anything is collected."""

    def families(self, format: str, names: Collection[str], /) -> Iterable[ForeignFamily]:
        """The families now. format: text or openmetrics. names: only those that own one of these; all when empty."""


class NameClash(ValueError):
    """A family that cannot be shown: another one on the page owns a name of it."""


Failed = Callable[[Exception, str], None]
"""Told of what could not be shown, and the reason by which it is counted."""


def append(
    page: bytes,
    taken: Collection[str],
    sources: Sequence[Source],
    format: str,
    names: Collection[str],
    failed: Failed,
) -> bytes:
    """The page with the families of the sources. taken: the names that its own families have."""
    owners = dict.fromkeys(taken, "a family of the page's dialects")
    pieces = [page.removesuffix(EOF) if format == "openmetrics" else page]
    for source in sources:
        try:
            for family in source.families(format, names):
                clash = next((name for name in sorted(family.owned_names) if name in owners), None)
                if clash is None:
                    owners |= dict.fromkeys(family.owned_names, f"another {family.name!r}")
                    pieces.append(family.body)
                elif not family.gives_way:
                    problem = f"family {family.name!r} is left out: {owners[clash]} owns the name {clash!r}"
                    failed(NameClash(problem), "name_clash")
        except Exception as problem:  # what else it has is not told
            failed(problem, "internal")
    if format == "openmetrics":
        pieces.append(EOF)
    return b"".join(pieces)
