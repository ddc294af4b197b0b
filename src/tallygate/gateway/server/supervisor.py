"""Several worker processes on one port, watched over: who dies is replaced, a signal drains them all."""

import contextlib
import logging
import multiprocessing
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import SpawnProcess

from tallygate.gateway.server.plan import Plan
from tallygate.gateway.server.sockets import StartError
from tallygate.gateway.server.worker import Sockets, run_worker

log = logging.getLogger("tallygate.gateway.server")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
LONGEST_PAUSE = 5.0
"""Seconds between two attempts to replace a worker that dies again and again."""
STEADY = 30.0
"""Seconds after which a worker counts as having worked."""
AFTER_GRACE = 5.0
"""Seconds past the grace period after which a worker that does not end is killed."""

_READY, _FAILED, _CUT = b"+", b"-", b"!"

# Spawned, not forked: a fork would copy threads' locks and the parent's event loop; a worker opens all it needs itself.
_spawn = multiprocessing.get_context("spawn")


class Worker:
    """One place among the workers, and the process that fills it now."""

    def __init__(self, plan: Plan, sockets: Sockets) -> None:
        self._plan, self._sockets = plan, sockets
        self.process: SpawnProcess | None = None
        self.line: socket.socket | None = None
        self.ready = False
        self.pause = 0.0
        self.restart_at: float | None = 0.0
        self.ended: tuple[int | None, int] | None = None
        """Process id and exit status of the last process."""
        self._started_at = 0.0

    def start(self) -> None:
        """Fill the place."""
        self.restart_at = None
        self.ready = False
        self._started_at = time.monotonic()
        self.line, theirs = socket.socketpair()
        self.process = _spawn.Process(target=_work, args=(self._plan, self._sockets, theirs), name="tallygate-worker")
        self.process.start()
        theirs.close()

    @property
    def grace(self) -> float:
        """Seconds that answers have to finish after a signal."""
        return self._plan.grace

    def close_listeners(self) -> None:
        """Accept no more: connections that nobody serves must be refused, not kept waiting."""
        for listeners in self._sockets:
            for listener in listeners:
                listener.close()

    def terminate(self) -> None:
        """Ask the process to end when its answers are finished."""
        if self.process is not None:
            self.process.terminate()

    def cut(self) -> None:
        """Tell the process to end now."""
        if self.line is not None:
            # It may have ended meanwhile.
            with contextlib.suppress(OSError):
                self.line.sendall(_CUT)

    def died(self) -> int:
        """Clear the place, say how the process ended and when to fill it again."""
        assert self.process is not None
        self.process.join()
        code = self.process.exitcode or 0
        self.ended = (self.process.pid, code)
        self.process.close()
        self.process = None
        if self.line is not None:
            self.line.close()
            self.line = None
        now = time.monotonic()
        self.pause = 0.1 if now - self._started_at > STEADY else min(max(self.pause * 2, 0.1), LONGEST_PAUSE)
        self.restart_at = now + self.pause
        return code

    def message(self) -> str | None:
        """What the worker says: '' when it is ready, why it could not start, None for nothing."""
        assert self.line is not None
        data = self.line.recv(4096)
        if data.startswith(_FAILED):
            return data[1:].decode(errors="replace")
        return "" if data == _READY else None


def supervise(plan: Plan, sockets: list[Sockets], on_ready: Callable[[], None]) -> None:
    """Run one worker per entry of ``sockets`` until a signal comes. Raises StartError when a first start fails."""
    workers = [Worker(plan, mine) for mine in sockets]
    waker, woken = socket.socketpair()
    waker.setblocking(False)
    woken.setblocking(False)
    before = {number: signal.signal(number, _note) for number in STOP_SIGNALS}
    wakeup = signal.set_wakeup_fd(waker.fileno())
    try:
        _watch(workers, woken, on_ready)
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        for worker in workers:
            if worker.process is not None:
                worker.process.kill()
                worker.died()
        waker.close()
        woken.close()


def _watch(workers: list[Worker], woken: socket.socket, on_ready: Callable[[], None]) -> None:
    """Keep all places filled until a signal comes, then see all workers out."""
    announced = False
    while True:
        now = time.monotonic()
        for worker in workers:
            if worker.restart_at is not None and worker.restart_at <= now:
                if worker.ended is not None:
                    # Said only now: a worker that got the signal to stop a moment before us is no loss.
                    log.error("worker %s ended with status %d; it is replaced after %g s", *worker.ended, worker.pause)
                worker.start()
        pauses = [worker.restart_at - now for worker in workers if worker.restart_at is not None]
        lines = [worker.line for worker in workers if worker.line is not None and not worker.ready]
        sentinels = [worker.process.sentinel for worker in workers if worker.process is not None]
        happened = wait([woken, *lines, *sentinels], timeout=min(pauses, default=None))
        if woken in happened:
            _drain(workers, woken)
            return
        for worker in workers:
            if worker.line in happened and not worker.ready:
                said = worker.message()
                worker.ready = said is not None
                if said:
                    _raise_or_log(said, first=not announced)
            if worker.process is not None and worker.process.sentinel in happened:
                code = worker.died()
                if not announced:
                    raise StartError(f"a worker ended with status {code} before it was ready; the log says why")
        if not announced and all(worker.ready for worker in workers):
            announced = True
            on_ready()


def _raise_or_log(reason: str, *, first: bool) -> None:
    """A worker cannot start: at the beginning that ends the server, later it is tried again."""
    if first:
        raise StartError(reason)
    log.error("a worker cannot start: %s", reason)


def _drain(workers: list[Worker], woken: socket.socket) -> None:
    """Ask all workers to end, a second signal more urgently; kill those that do not."""
    running = [worker for worker in workers if worker.process is not None]
    limit = time.monotonic() + AFTER_GRACE + max((worker.grace for worker in workers), default=0.0)
    _discard(woken)
    for worker in workers:
        worker.close_listeners()
    for worker in running:
        worker.terminate()
    while running and time.monotonic() < limit:
        sentinels = {worker.process.sentinel: worker for worker in running if worker.process is not None}
        happened = wait([woken, *sentinels], timeout=max(0.0, limit - time.monotonic()))
        if woken in happened:
            _discard(woken)
            limit = min(limit, time.monotonic() + AFTER_GRACE)
            for worker in running:
                worker.cut()
        for sentinel in happened:
            if sentinel in sentinels:
                worker = sentinels[sentinel]
                worker.died()
                running.remove(worker)
    if running:
        log.error("%d worker(s) did not end in time and are killed", len(running))


def _work(plan: Plan, sockets: Sockets, line: socket.socket) -> None:
    """The life of a worker process."""
    # Ctrl-C reaches the whole process group; the parent turns it into an orderly end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run_worker(plan, sockets, lambda: line.sendall(_READY), signals=(signal.SIGTERM,), parent=line)
    except Exception as error:
        reason = str(error) if isinstance(error, StartError) else f"{type(error).__name__}: {error}"
        with contextlib.suppress(OSError):
            line.sendall(_FAILED + reason.encode()[:4000])
        raise SystemExit(1) from None


def _note(number: int, frame: object) -> None:
    """The signal's number arrives at the wake-up socket; nothing else is to be done."""


def _discard(woken: socket.socket) -> None:
    with contextlib.suppress(BlockingIOError):
        woken.recv(1024)
