"""Grafana dashboards, made from what the dialects declare: import them, or let ``tallygate dashboards`` do it.

    for dashboard in dashboards("tallygate"):
        pathlib.Path(f"{dashboard.uid}.json").write_text(encode(dashboard))

One file a board, each a list of rows of panels; ``BOARDS`` says which dialect has which. Needs
``tallygate[dashboards]``.
"""

from collections.abc import Callable, Mapping

from grafana_foundation_sdk.models.dashboard import Dashboard

from tallygate.dashboards.archestra import archestra
from tallygate.dashboards.aurora import AURORA
from tallygate.dashboards.board import Board, encode
from tallygate.dashboards.erato import ERATO
from tallygate.dashboards.gatewayz import GATEWAYZ
from tallygate.dashboards.hyperagent import HYPERAGENT
from tallygate.dashboards.postgresql import postgresql
from tallygate.dashboards.tallygate import COST_AND_RELIABILITY, GENAI, MCP, RAG, application
from tallygate.dialects import UnknownDialect

__all__ = ["BOARDS", "POSTGRES_PROVIDERS", "Board", "boards", "dashboards", "encode"]

POSTGRES_PROVIDERS = ("helm", "otel", "cloudsql", "azure")
"""Who exports the figures of PostgreSQL, which decides their names."""

BOARDS: Mapping[str, Callable[[str], tuple[Board, ...]]] = {
    "tallygate": lambda postgres_provider: (
        GENAI,
        MCP,
        application(postgresql(postgres_provider)),
        RAG,
        COST_AND_RELIABILITY,
    ),
    "erato": lambda postgres_provider: (ERATO,),
    "aurora": lambda postgres_provider: (AURORA,),
    "gatewayz": lambda postgres_provider: (GATEWAYZ,),
    "archestra": archestra,
    "hyperagent": lambda postgres_provider: (HYPERAGENT,),
}
"""The boards of a dialect, for one of ``POSTGRES_PROVIDERS``."""


def boards(dialect: str = "tallygate", *, postgres_provider: str = "helm") -> tuple[Board, ...]:
    """The boards of a dialect. Raises UnknownDialect for one that has none, and ValueError for another provider."""
    if postgres_provider not in POSTGRES_PROVIDERS:
        raise ValueError(f"postgres_provider: {postgres_provider!r} is none of {', '.join(POSTGRES_PROVIDERS)}")
    if dialect not in BOARDS:
        raise UnknownDialect(dialect, BOARDS)
    return BOARDS[dialect](postgres_provider)


def dashboards(dialect: str = "tallygate", *, postgres_provider: str = "helm") -> tuple[Dashboard, ...]:
    """The same as Grafana has them."""
    return tuple(board.dashboard() for board in boards(dialect, postgres_provider=postgres_provider))
