"""How a page of some dialects is read from the ledger: every row goes to its output series once, and stays there.

A scrape then only asks each table for rows made since, and the renderer adds up cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Generic, NamedTuple

from tallygate.declare import Fact
from tallygate.dialects.checks import merge
from tallygate.dialects.families import Computed, Dialect, DialectError, Family
from tallygate.dialects.reader import F, TableReader
from tallygate.dialects.renderer import FamilyFactory
from tallygate.ledger.interface import Table


class Page(NamedTuple, Generic[F]):
    """What the renderer is given: families, and the buffers that their cells are in."""

    families: Sequence[F]
    buffers: Sequence[memoryview]


class Plan(Generic[F]):
    """The reading of one or several dialects that share a page. Safe to use from several threads.

    tables: the ledger's table of every fact that the dialects read. memory: the ledger's live cells.
    custom: names of the custom labels, in sorted order, as the tables have them.
    computed: asked once per page for the values of ``Computed`` families, by key; a key it lacks shows no series.
    Raises DialectClash, or DialectError where the tables do not have what a family reads.
    """

    def __init__(
        self,
        dialects: Sequence[Dialect],
        tables: Mapping[type[Fact], Table],
        memory: memoryview,
        make: FamilyFactory[F],
        *,
        custom: Sequence[str] = (),
        computed: Callable[[], Mapping[str, int | float]] = dict,
    ) -> None:
        self.dialects = tuple(dialects)
        self._merged = merge(dialects)
        self.families = tuple(family for _, family in self._merged)
        self._tables, self._memory, self._make = tables, memory, make
        self._custom, self._computed = tuple(custom), computed
        self._lock = Lock()
        self._build()

    @property
    def name(self) -> str:
        """The names of its dialects, joined by '+'."""
        return "+".join(dialect.name for dialect in self.dialects)

    def _build(self) -> None:
        self._readers: dict[type[Fact], TableReader[F]] = {}
        self._shown: list[tuple[Family, Callable[[], F]]] = []
        self._asked: list[tuple[str, F]] = []
        for dialect, family in self._merged:
            self._shown.append((family, self._add(dialect.name, family)))
        self._whole = True

    def _add(self, dialect: str, family: Family) -> Callable[[], F]:
        fact = family.fact
        if fact is None:
            rendered = self._make(family.name, family.kind, family.shown_help, family.shown_unit)
            if isinstance(family.value, Computed):
                self._asked.append((family.value.key, rendered))
            return lambda: rendered
        if fact not in self._tables:
            problem = f"the ledger has no table for {fact.__name__}"
            raise DialectError(dialect, family.name, problem, "make the ledger with this fact")
        if fact not in self._readers:
            self._readers[fact] = TableReader(self._tables[fact], self._memory, fact, self._custom)
        return self._readers[fact].add(dialect, family, self._make)

    @contextmanager
    def reading(self, names: Iterable[str] = ()) -> Iterator[Page[F]]:
        """The page now. Render inside the block: another thread's page waits until it is left.

        names: show only families that have one of these sample names (``name[]`` of the query); all when empty.
        """
        with self._lock:
            if not self._whole:
                self._build()
            self._whole = False  # a row that was read in part must neither lack nor count twice: begin anew
            buffers = [self._memory]
            for reader in self._readers.values():
                reader.read(buffers)
            self._whole = True
            if self._asked:
                values = self._computed()
                for key, family in self._asked:
                    if key in values:
                        family.constant(family.series(""), repr(values[key]))
            wanted = frozenset(names)
            yield Page(
                [current() for family, current in self._shown if not wanted or wanted & family.owned_names], buffers
            )
