"""Workers of a gateway that are replaced at once when they are killed: forked from a process that has all modules.

``python -m tests.gateway.usage.nursery SETTINGS WORKERS``, where SETTINGS is a file of settings in JSON. Says the port,
then keeps so many workers until SIGTERM, on which it lets them end in order.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

# Here, so that a worker that is forked need not.
import aiosqlite  # noqa: F401
import alembic.command  # noqa: F401
import asyncpg  # noqa: F401
import uvloop  # noqa: F401

import tallygate.gateway.accounts.directory
import tallygate.gateway.accounts.observing
import tallygate.gateway.database.migrating
import tallygate.gateway.state.local
import tallygate.gateway.usage.ledger
import tallygate.gateway.usage.spending  # noqa: F401
from tallygate.catalogue import find
from tallygate.gateway.run import WorkerSettings, make_app
from tallygate.gateway.server.plan import Plan
from tallygate.gateway.server.sockets import open_listeners
from tallygate.gateway.server.worker import run_worker
from tallygate.gateway.settings import Settings

GRACE = 10.0
PAUSE = 0.1


def main(file: Path, count: int) -> None:
    """Keep workers until told to end."""
    settings = Settings.model_validate(json.loads(file.read_text()))
    find("openai", "")
    ((listener,),) = open_listeners("127.0.0.1", 0, 1)
    plan = Plan(f"{make_app.__module__}:make_app", WorkerSettings(settings, file.with_suffix(".ledger")), GRACE)
    children: set[int] = set()
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        stopping = True
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    gc.freeze()
    print(listener.getsockname()[1], flush=True)
    while True:
        while len(children) < count and not stopping:
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
            child = os.fork()
            if child == 0:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
                run_worker(plan, [[listener]], lambda: None, signals=[signal.SIGTERM], parent=None)
                os._exit(0)
            children.add(child)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
        try:
            child, status = os.wait()
        except ChildProcessError:
            return
        children.discard(child)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            # It could not start, because the database is away.
            time.sleep(PAUSE)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
