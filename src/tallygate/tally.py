"""The tally: facts and dialects put together over one ledger. Records, and renders what was recorded."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from threading import Lock

from tallygate.arguments import check_arguments
from tallygate.declare import Fact
from tallygate.dialects import DIALECTS, Dialect, Plan, boundaries, resolve, table_schema
from tallygate.dialects.families import DialectError
from tallygate.exposition.render import Family, render
from tallygate.exposition.sources import NameClash, Source, append
from tallygate.facts import FACTS, BuildInfo, Dropped, LLMCall, ProviderInfo, Scrape, StoreFailure
from tallygate.identities import check as check_identities
from tallygate.ledger import DEFAULT_CAPACITY, Implementation, implementation_name, open_ledger
from tallygate.ledger.interface import Ledger, Table
from tallygate.ledger.schema import TableSchema
from tallygate.pricing import PriceList, PriceOverride
from tallygate.record.binding import Exemplifier
from tallygate.record.default import default
from tallygate.record.hooks import Hook, Hooks
from tallygate.record.labels import custom_labels as labels_by_key
from tallygate.record.recorder import Recorder

MOST_PLANS = 16
"""How many combinations of dialects stay ready to be read; a plan made again is slower, and as right."""


def package_version() -> str:
    """The version of the installed package; '0' when it runs from a bare checkout."""
    from importlib.metadata import PackageNotFoundError, version  # takes longer than all of the package

    try:
        return version("tallygate")
    except PackageNotFoundError:
        return "0"


class Tally(Recorder):
    """Records facts (see ``Recorder``) and renders them in any dialect.

    dialects: shown by default, by name or as ``Dialect``; all that come with Tallygate can be asked for besides.
    custom_labels: further labels of LLM metrics, by key (``my-team`` becomes ``my_team``). identities: user_id,
    api_key_id, session_id as labels, each ``raw``, ``hashed`` or ``top:N``; the others stay off. path: the ledger's
    file when worker processes share it. price_overrides: before the catalogue's prices. catalogue_providers: which
    provider of the catalogue a configured name is. known_models: see ``Recorder``. exemplar: tells the sampled span
    that is current. enabled: False records nothing and renders nothing. implementation: native or python, as
    ``ledger.open_ledger``.

    Raises ArgumentError, CustomLabelError, IdentityError, DialectError, UnknownDialect, LedgerError or ValueError for
    what cannot be set up so.
    """

    def __init__(
        self,
        *,
        dialects: Sequence[str | Dialect] = ("tallygate",),
        custom_labels: Sequence[str] = (),
        identities: Mapping[str, str] | None = None,
        path: str | os.PathLike[str] | None = None,
        price_overrides: Iterable[PriceOverride] = (),
        catalogue_providers: Mapping[str, str] | None = None,
        known_models: Collection[str] | None = None,
        service: str = "tallygate",
        environment: str = "development",
        deployment_version: str = "unknown",
        exemplar: Exemplifier | None = None,
        enabled: bool = True,
        implementation: Implementation | None = None,
        capacity_bytes: int = DEFAULT_CAPACITY,
    ) -> None:
        check_arguments(locals())
        self.dialects = _known(dialects)
        self.default_dialects = tuple(dialect if isinstance(dialect, str) else dialect.name for dialect in dialects)
        resolve(self.default_dialects, self.dialects)
        check_identities(identities or {})
        labels = labels_by_key(custom_labels, FACTS, sorted(identities or {}))
        self.ledger: Ledger | None = None
        tables: dict[type[Fact], Table] = {}
        self._custom_names = tuple(labels.values())
        if enabled:
            schemas = _schemas(self.dialects, self._custom_names)
            self.ledger = open_ledger(schemas, path, implementation=implementation, capacity_bytes=capacity_bytes)
            tables = dict(zip(FACTS, self.ledger.tables, strict=True))
        super().__init__(
            tables,
            PriceList(price_overrides, catalogue_providers),
            custom_labels=labels,
            known_models=known_models,
            exemplar=exemplar,
            identities=identities,
        )
        self._plans: OrderedDict[tuple[str, ...], Plan[Family]] = OrderedDict()
        self._plans_lock = Lock()
        self._sources: tuple[Source, ...] = ()
        self._hooks = Hooks()
        if self.ledger is not None:
            try:
                self._plan(self.ledger, self.default_dialects)
            except DialectError:
                self.close()
                raise
            build = (package_version(), platform.python_version(), implementation_name(implementation))
            tables[BuildInfo].row(*build, environment, service, deployment_version).set(0, 1)
            # So that "nothing was dropped" is a 0 to be seen, and not the want of a series.
            tables[Dropped].row(LLMCall.__name__, "internal")

    def provider_info(self, *, provider: str, kind: str, model: str = "") -> None:
        """A configured provider, and a model it serves ('' when none is listed): shown as long as this worker lives."""
        if not self.enabled:
            return
        try:
            self.tables[ProviderInfo].row(provider, kind, model).set(0, 1)
            self.tables[StoreFailure].row("response_snapshot", provider, "store")  # a 0 to be seen before the first one
        except Exception as problem:
            self.failed(ProviderInfo, problem)

    def render(
        self, dialects: Sequence[str] | None = None, format: str = "text", names: Collection[str] = frozenset()
    ) -> bytes:
        """The page now, from all worker processes. Safe in any thread; compiled, it runs without the GIL.

        dialects: by name; None for the default ones. format: text or openmetrics. names: only families that have one of
        these sample names; all when empty. Raises UnknownDialect or DialectClash.
        """
        return self._render(dialects, format, names, self.sources)

    def render_own(
        self, dialects: Sequence[str] | None = None, format: str = "text", names: Collection[str] = frozenset()
    ) -> bytes:
        """As ``render``, without what sources have to show."""
        return self._render(dialects, format, names, ())

    @property
    def sources(self) -> tuple[Source, ...]:
        """Where families from elsewhere come from; for the program's tally, the program's sources too."""
        return (*self._sources, *default.sources) if default.recorder is self else self._sources

    def add_source(self, source: Source) -> None:
        """Show the families of a source too, after those of the dialects.

        Raises NameClash when one that is known beforehand has a name of the default dialects. One that turns up later,
        or clashes with another dialect that is asked for, is left out of the page and counted as dropped.
        """
        taken = {
            name: f"{family.name!r} in dialect {dialect!r}"
            for dialect in self.default_dialects
            for family in self.dialects[dialect]
            for name in family.owned_names
        }
        taken |= {name: "another source" for other in self.sources for name in other.names()}
        for name in sorted(taken.keys() & set(source.names())):
            mend = "rename the other metric, or serve another dialect by default"
            raise NameClash(f"{name!r} is a name of {taken[name]} already; {mend}")
        self._sources += (source,)

    def remove_source(self, source: Source) -> None:
        """Show it no more. Again is once."""
        self._sources = tuple([other for other in self._sources if other is not source])

    def before_render(self, hook: Hook) -> Callable[[], None]:
        """Call this before every page, to fetch numbers that nobody reports when they change; gives what ends that.

        It is given this tally, in the thread that makes the page; pages may be made in several threads at once. Its
        exceptions are counted as dropped observations.
        """
        return self._hooks.add(hook)

    def _render(
        self, dialects: Sequence[str] | None, format: str, names: Collection[str], sources: Sequence[Source]
    ) -> bytes:
        chosen = self.default_dialects if dialects is None else tuple(dict.fromkeys(dialects))
        if self.ledger is None:
            resolve(chosen, self.dialects)
            return b"# EOF\n" if format == "openmetrics" else b""
        began = time.perf_counter()
        self._hooks.run(self)
        if default.recorder is self:
            default.hooks.run(self)
        plan = self._plan(self.ledger, chosen)
        exemplars = {}
        if format == "openmetrics":
            exemplars = {exemplar.cell: exemplar for exemplar in self.ledger.exemplars()}
        with plan.reading(names) as page:
            rendered = render(page.families, page.buffers, format, exemplars)
        if sources:
            taken = frozenset[str]().union(*[family.owned_names for family in plan.families])
            rendered = append(rendered, taken, sources, format, names, self._not_shown)
        try:
            row = self.tables[Scrape].row("+".join(chosen), format)
            row.record(time.perf_counter() - began, len(rendered))
        except Exception as problem:
            self.failed(Scrape, problem)
        return rendered

    def _not_shown(self, problem: Exception, reason: str) -> None:
        self.failed(Scrape, problem, reason)

    def _plan(self, ledger: Ledger, dialects: tuple[str, ...]) -> Plan[Family]:
        with self._plans_lock:
            plan = self._plans.get(dialects)
            if plan is None:
                plan = Plan(
                    resolve(dialects, self.dialects),
                    self.tables,
                    ledger.memory,
                    Family,
                    custom=self._custom_names,
                    computed=lambda: ledger.statistics()._asdict(),
                )
                self._plans[dialects] = plan
                if len(self._plans) > MOST_PLANS:
                    self._plans.popitem(last=False)
            else:
                self._plans.move_to_end(dialects)
            return plan

    def close(self) -> None:
        """Give back what this worker holds. Recording goes on without effect."""
        if self.identities is not None:
            self.identities.close()
        if self.ledger is not None:
            self.ledger.close()


def _known(given: Sequence[str | Dialect]) -> Mapping[str, Dialect]:
    """All dialects that can be asked for, by name."""
    known = dict(DIALECTS)
    for dialect in given:
        if isinstance(dialect, Dialect):
            if known.get(dialect.name, dialect) is not dialect:
                problem = "the name is taken by another dialect"
                raise DialectError(dialect.name, "", problem, "give yours another name")
            known[dialect.name] = dialect
    return known


def _schemas(dialects: Mapping[str, Dialect], custom_names: tuple[str, ...]) -> list[TableSchema]:
    """The ledger's tables: one per fact, with the boundaries that all the dialects need."""
    kept = boundaries(dialects.values())
    return [table_schema(fact, kept, custom_names) for fact in FACTS]


def ledger_digest(
    dialects: Sequence[str | Dialect] = ("tallygate",),
    custom_labels: Sequence[str] = (),
    identities: Mapping[str, str] | None = None,
) -> str:
    """Twelve hexadecimal characters that differ whenever the tables of a ledger do: for the name of its file.

    A ledger whose tables have changed (other custom labels, another release) then counts in a new file instead of
    refusing the old one. Raises what ``Tally`` raises for these arguments.
    """
    check_identities(identities or {})
    names = tuple(labels_by_key(custom_labels, FACTS, sorted(identities or {})).values())
    return hashlib.sha256(repr(_schemas(_known(dialects), names)).encode()).hexdigest()[:12]
