"""What the drivers share: children, how they ended, what a ledger holds."""

import os
import sys
from collections.abc import Callable
from typing import Any

from tallygate.ledger.interface import Ledger

from ..tables import gauges, totals, values


def child(work: Callable[[], None]) -> int:
    """Forks; the child does its work and is gone."""
    pid = os.fork()
    if pid:
        return pid
    try:
        work()
        sys.stdout.flush()
    except BaseException as error:
        print(f"child failed: {error!r}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)


def wait(pid: int) -> int:
    """The signal that ended it, or minus its exit status."""
    status = os.waitpid(pid, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else -os.WEXITSTATUS(status)


def summary(ledger: Ledger) -> dict[str, Any]:
    statistics = ledger.statistics()
    return {
        "totals": totals(ledger),
        "rows": len(ledger.tables[0].rows()),
        "distinct": len(set(values(ledger.tables[0].rows()))),
        "gauges": [sum(column) for column in zip(*gauges(ledger).values(), strict=True)]
        if len(ledger.tables) > 1
        else [],
        "workers": statistics.workers,
        "overflowed": statistics.overflowed,
        "dropped": statistics.dropped,
    }
