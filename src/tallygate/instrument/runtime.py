"""The program itself: its process, its event loops, its garbage collector.

The numbers are those that prometheus_client's own collectors give for one process, and more. They are facts, so they
add up over worker processes that share a ledger and are read in every dialect; prometheus_client's see the process
that is scraped alone, and none in its multiprocess mode. With both, see ``instrument.prometheus_client``.
"""

from __future__ import annotations

from asyncio import AbstractEventLoop, get_running_loop
from threading import TIMEOUT_MAX

from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.record.recorder import Recorder
from tallygate.runtime import COLLECTOR, LoopSampler, ProcessThread


def asyncio(loop: AbstractEventLoop | None = None, *, tally: Recorder | None = None) -> Instrumentation:
    """Watch an event loop: how late it is, ten times a second; its tasks, queues and CPU time, once a second.

    loop: the one to watch, given from any thread; None for the one that is running. Of asyncio's own loops the ready
    callbacks and the default executor are seen too; other loops, such as uvloop's, do not show them.
    Raises NotInstrumentable without a loop, or when it is closed.
    """
    if loop is None:
        loop = _running()
        if loop is None:
            problem = "no event loop is running in this thread"
            raise NotInstrumentable(f"{problem}: call asyncio() inside of one, or give it: asyncio(loop)")
    if loop.is_closed():
        raise NotInstrumentable("the event loop is closed: give one that is running, or will be")
    watching = Instrumentation(tally)
    sampler = LoopSampler.of(loop)

    def where() -> Recorder:
        return watching.recorder

    sampler.report_to(where)
    watching.finally_do(lambda: sampler.stop_reporting_to(where))
    return watching


def gc(*, tally: Recorder | None = None) -> Instrumentation:
    """Watch the garbage collector: every pass, how long it took and what it freed."""
    watching = Instrumentation(tally)

    def where() -> Recorder:
        return watching.recorder

    COLLECTOR.report_to(where)
    watching.finally_do(lambda: COLLECTOR.stop_reporting_to(where))
    return watching


def process(interval: float = 1.0, *, tally: Recorder | None = None) -> Instrumentation:
    """Watch the process: CPU time, memory, threads, open files. In a daemon thread, also in forked children.

    interval: seconds between two samples. Raises ValueError when it is not above 0, or far too long.
    """
    if not 0 < interval <= TIMEOUT_MAX:
        raise ValueError(f"interval={interval} cannot be waited for; give the seconds between two samples, above 0")
    watching = Instrumentation(tally)
    thread = ProcessThread(lambda: watching.recorder, interval)
    thread.start()
    watching.finally_do(thread.stop)
    return watching


def runtime(loop: AbstractEventLoop | None = None, *, tally: Recorder | None = None) -> Instrumentation:
    """Watch all of it: ``process``, ``gc``, and ``asyncio`` for the given loop, or the one that is running, if any."""
    loop = loop or _running()
    watching = Instrumentation(tally)
    parts = [asyncio(loop, tally=tally)] if loop is not None else []
    for part in (*parts, gc(tally=tally), process(tally=tally)):
        watching.finally_do(part.remove)
    return watching


def _running() -> AbstractEventLoop | None:
    try:
        return get_running_loop()
    except RuntimeError:
        return None
