"""What a page says of the statements that were sent, and of caches."""

from __future__ import annotations

import hashlib

from tallygate.tally import Tally
from tests.instrument.http_page import samples


def hash_of(normal: str) -> str:
    """The name of a statement that has none, from its normal form."""
    return f"hash-{hashlib.sha256(normal.encode()).hexdigest()[:16]}"


def queries(tally: Tally, *, zeros: bool = False) -> dict[str, float]:
    """Statements by everything that is told of them: ``{'sqlite by_id chats select success': 2}``; '' is '-'."""
    found = samples(tally, "tallygate_db_queries_total")
    return {
        " ".join([one.labels[name] or "-" for name in ("system", "query", "table", "operation", "status")]): one.value
        for one in found
        if zeros or one.value
    }


def timed(tally: Tally) -> dict[str, float]:
    """How many durations there are by name and status."""
    found = samples(tally, "tallygate_db_query_duration_seconds_count")
    return {f"{one.labels['query']} {one.labels['status']}": one.value for one in found}


def seconds(tally: Tally) -> dict[str, float]:
    """The sums of the durations by name and status."""
    found = samples(tally, "tallygate_db_query_duration_seconds_sum")
    return {f"{one.labels['query']} {one.labels['status']}": one.value for one in found}


def connections(tally: Tally) -> float:
    """Connections to databases that are open."""
    return sum(
        one.value for one in samples(tally, "tallygate_connections_open") if one.labels["connection_type"] == "db"
    )


def lookups(tally: Tally) -> dict[str, float]:
    """Looks into caches by cache, route and result: ``{'users  hit': 2}``."""
    found = samples(tally, "tallygate_cache_lookups_total")
    return {" ".join([one.labels[name] for name in ("cache", "route", "result")]): one.value for one in found}


def state(tally: Tally, cache: str) -> dict[str, float]:
    """The gauges of a cache, without their prefix."""
    names = ("capacity_bytes", "used_bytes", "entries", "fill_ratio", "time_to_live_seconds", "time_to_idle_seconds")
    found = samples(tally, *[f"tallygate_cache_{name}" for name in names])
    return {one.name.removeprefix("tallygate_cache_"): one.value for one in found if one.labels["cache"] == cache}
