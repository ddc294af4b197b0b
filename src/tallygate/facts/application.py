"""What an application around a model does: HTTP, caches, databases, connections."""

from tallygate.declare import Dimension, Distribution, Fact, Gauge, Sum
from tallygate.facts.words import SECONDS, STATUSES
from tallygate.ledger.schema import Combine


class HTTPRequest(Fact):
    """One HTTP request served, by the gateway or by an instrumented application."""

    method = Dimension("HTTP method; 'OTHER' for one that is no standard method")
    route = Dimension("route template, never the raw path; 'unmatched' when no route fits")
    status_code = Dimension("HTTP status as sent; '499' when the client left before an answer")

    duration = Distribution("seconds", "first byte of the request to the last byte of the answer", exponent=SECONDS)
    request_size = Distribution("bytes", "body of the request")
    response_size = Distribution("bytes", "body of the answer")


class HTTPInFlight(Fact):
    """HTTP requests being served now."""

    now = Gauge("", "how many are going on")


class CacheLookup(Fact):
    """One look into a cache, or several that are told at once: ``count + more`` are all of them."""

    cache = Dimension("name of the cache")
    route = Dimension("as LLMCall.route")
    result = Dimension("what came of it", values=("hit", "miss"))

    more = Sum("", "further looks that were told with this one")


class CacheState(Fact):
    """How full a cache is; the caches of the workers under one name add up."""

    cache = Dimension("as CacheLookup.cache")

    capacity = Gauge("bytes", "configured capacity")
    used = Gauge("bytes", "weight of what it holds")
    entries = Gauge("", "how many entries it holds")
    fill_ratio = Gauge(
        "", "used over capacity, 0 to 1, of the fullest worker; 0 without a capacity", exponent=-6, combine=Combine.MAX
    )
    time_to_live = Gauge("seconds", "configured, 0 when entries do not age", exponent=-3, combine=Combine.MAX)
    time_to_idle = Gauge("seconds", "configured, 0 when idle entries stay", exponent=-3, combine=Combine.MAX)


class Query(Fact):
    """One statement sent to a database."""

    system = Dimension("which kind of database, in the words of OpenTelemetry: postgresql, sqlite, mysql, ...")
    query = Dimension("registered name of the statement, else 'hash-' and 16 hexadecimal digits")
    table = Dimension("the table it is about; '' when not told")
    operation = Dimension("first word of the statement", values=("select", "insert", "update", "delete", "other"))
    status = Dimension("how it ended", values=STATUSES)

    duration = Distribution("seconds", "sent to executed", exponent=SECONDS)


class Connections(Fact):
    """Connections of the workers that are open now."""

    connection_type = Dimension("to what: db, redis, provider, ...")

    now = Gauge("", "how many are open, summed over the workers")


class StoreFailure(Fact):
    """A record of ours that could not be stored or read, in whole or in part, while the call it was about went on."""

    store = Dimension("which store", values=("response_snapshot", "audit_log", "usage", "response_cache", "limits"))
    provider = Dimension("as LLMCall.provider; '' when the record is about none")
    operation = Dimension("what failed", values=("store", "partial_write", "read"))
