"""Running a gateway: the ledger's place, the workers, the listeners."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tallygate.gateway.app import App
from tallygate.gateway.logs import configure_logging, log_start
from tallygate.gateway.scratch import scratch_ledger
from tallygate.gateway.server import Limits, SideApp, serve
from tallygate.gateway.settings import Settings
from tallygate.gateway.settings.tls import tls_of
from tallygate.gateway.tallying import open_tally
from tallygate.tally import ledger_digest


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What each worker is given."""

    settings: Settings
    ledger: Path | None
    """The ledger's file; None for the private memory of a single process."""


def run(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status. Raises StartError, LedgerError."""
    configure_logging(settings)
    server, listener = settings.server, settings.metrics.listener
    shown_apart = settings.metrics.enabled and listener is not None
    sides = (
        [
            SideApp(
                "tallygate.gateway.run:metrics_app",
                listener.host,
                listener.port,
                tls_of(listener.tls),
            )
        ]
        if shown_apart and listener
        else []
    )
    with ledger_file(settings) as ledger:
        return serve(
            "tallygate.gateway.run:make_app",
            server.host,
            server.port,
            settings=WorkerSettings(settings, ledger),
            workers=server.workers,
            grace=server.grace_seconds,
            limits=server_limits(settings),
            tls=tls_of(server.tls),
            side_apps=sides,
            on_ready=lambda bound: log_start(settings, bound),
        )


def make_app(worker: WorkerSettings) -> App:
    """The application of one worker."""
    configure_logging(worker.settings)
    return App(worker.settings, open_tally(worker.settings, worker.ledger))


def server_limits(settings: Settings) -> Limits:
    """What the server takes from clients."""
    limits = settings.limits
    return Limits(head_bytes=limits.head_bytes, head_seconds=limits.head_seconds, connections=limits.connections)


def metrics_app(app: App) -> object:
    """What the listener for metrics serves: the same page, and nothing else."""
    return app.metrics_only


@contextmanager
def ledger_file(settings: Settings) -> Iterator[Path | None]:
    """Where the workers share their ledger: in the configured directory, which outlives the gateway, or in memory."""
    directory = settings.metrics.state_directory
    if not settings.metrics.enabled:
        yield None
    elif directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        digest = ledger_digest(settings.metrics.dialects, settings.metrics.labels, settings.metrics.identities)
        yield directory / f"{settings.server.port}-{digest}.ledger"
    elif settings.server.workers > 1:
        with scratch_ledger() as ledger:
            yield ledger
    else:
        yield None
