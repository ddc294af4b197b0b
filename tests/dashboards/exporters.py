"""Exporters of PostgreSQL's figures: all families of ``EXPORTERS``, first at 0, then at numbers that are known."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, UnknownMetricFamily
from prometheus_client.registry import Collector

from tallygate.dashboards.exporters import EXPORTERS
from tallygate.dialects.families import BareCounter, Counter, Family
from tallygate.promql import label_names

VALUES = {
    "datname": ("shop", "postgres"),
    "database_id": ("project:shop",),
    "database": ("shop",),
    "resourceName": ("shop-server",),
    "state": ("active", "idle"),
    "mode": ("accesssharelock", "exclusivelock"),
    "source": ("heap_hit", "heap_read", "buffer_cache", "disk"),
    "operation": ("ins", "upd", "del", "hot_upd"),
    "transaction_type": ("commit", "rollback"),
    "operation_type": ("insert", "update", "delete"),
}
OTEL = (
    {"db_namespace": "", "postgresql_database_name": "old"},
    {"db_namespace": "new", "postgresql_database_name": ""},
)
"""A collector tells a database by the one or by the other."""
KNOWN = {
    "pg_settings_max_connections": 100.0,
    "postgresql_connection_max": 100.0,
    "azure_microsoft_dbforpostgresql_flexibleservers_max_connections_maximum_count": 100.0,
    "pg_stat_database_blks_hit": 270.0,
}
"""Where all the others are at 30 for each series."""
OTHERWISE = 30.0


class Exporters(Collector):
    """All of them in one place. ``busy``: whether something has happened."""

    def __init__(self) -> None:
        self.busy = False

    def collect(self) -> Iterator[Metric]:
        for exporter in EXPORTERS.values():
            for family in exporter:
                yield self._metric(family)

    def _metric(self, family: Family) -> Metric:
        names = label_names(family)
        kind = UnknownMetricFamily if isinstance(family, BareCounter) else GaugeMetricFamily
        metric: Metric
        metric = (
            CounterMetricFamily(family.name, "x", labels=names)
            if type(family) is Counter
            else kind(family.name, "x", labels=names)
        )
        counts = isinstance(family, Counter)
        value = KNOWN.get(family.name, OTHERWISE) if self.busy or not counts else 0.0
        for labels in label_sets(names):
            metric.add_metric([labels[name] for name in names], value)
        return metric


def label_sets(names: tuple[str, ...]) -> Iterator[dict[str, str]]:
    """The series of a family with these labels."""
    databases: tuple[dict[str, str], ...] = OTEL if "db_namespace" in names else ({},)
    others = [name for name in names if name in VALUES]
    for database, values in product(databases, product(*(VALUES[name] for name in others))):
        yield database | dict(zip(others, values, strict=True))


def serve(exporters: Exporters) -> tuple[WSGIServer, Thread]:
    """On a free port of its own thread."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(exporters)
    return start_http_server(0, "127.0.0.1", registry)
