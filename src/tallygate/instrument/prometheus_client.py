"""prometheus_client: the metrics of its registry on our page, and ours in its registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tallygate.exposition.sources import NameClash, Source
from tallygate.instrument.patching import Instrumentation
from tallygate.record.default import default
from tallygate.record.recorder import Recorder
from tallygate.tally import Tally

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry


def prometheus_client(
    registry: CollectorRegistry | None = None,
    *,
    dialects: Sequence[str] | None = None,
    on_our_page: bool = True,
    in_registry: bool = True,
    tally: Tally | None = None,
) -> Instrumentation:
    """Show the metrics of a registry on the tally's page, and the tally's in the registry, so in ``generate_latest``.

    registry: None for prometheus_client's default one. dialects: what the registry shows of ours; None for the tally's
    default ones. on_our_page, in_registry: whether to go this way. Both at once do not repeat each other.

    Families with which prometheus_client's own collectors of process, garbage collector and platform clash by name
    are shown once: a page shows its owner's. Any other clash raises NameClash, a ValueError; and what turns up later,
    or when this is called before ``init``, is left out of our page and counted as dropped.
    Raises UnknownDialect or DialectClash besides.
    """
    from prometheus_client import REGISTRY

    from tallygate.instrument.support.registries import RegistrySource, TallyCollector, names_of_runtime

    registry = registry or REGISTRY
    bridge = Instrumentation(tally)
    if in_registry:
        collector = TallyCollector(dialects, without=names_of_runtime(registry), tally=tally)
        collector.check(registry)
        registry.register(collector)
        bridge.finally_do(lambda: registry.unregister(collector))
    if on_our_page:
        try:
            bridge.finally_do(_show(RegistrySource(registry, tally=tally), tally or default.recorder))
        except NameClash:
            bridge.remove()
            raise
    return bridge


def _show(source: Source, recorder: Recorder) -> Callable[[], None]:
    """Put it on the page; gives what takes it off again."""
    if isinstance(recorder, Tally):
        recorder.add_source(source)
        return lambda: recorder.remove_source(source)
    default.sources += (source,)

    def undo() -> None:
        default.sources = tuple([other for other in default.sources if other is not source])

    return undo
