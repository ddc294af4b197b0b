"""The vocabulary of HyperAgent: ten families by route and model, latencies in milliseconds, money in cents.

Kept from its document: every name, label and unit, and queries that divide ``llm_cost_usd_total`` by 100. Better than
the original: cents keep their fractions, ``llm_latency_ms`` is the histogram that its queries ask for, all ten error
types are there from 0, and a stream that breaks off does not leave ``llm_active_requests`` too high for ever.
"""

from tallygate.dialects.hyperagent.families import ERROR_WORDS, HYPERAGENT
from tallygate.dialects.hyperagent.helpers import (
    InstrumentedBackend,
    PrometheusHandle,
    dec_active_requests,
    inc_active_requests,
    inc_cache_hit,
    inc_cache_miss,
    init_prometheus,
    record_llm_cost,
    record_llm_error,
    record_llm_latency,
    record_llm_tokens,
    record_rate_limit,
)

__all__ = [
    "ERROR_WORDS",
    "HYPERAGENT",
    "InstrumentedBackend",
    "PrometheusHandle",
    "dec_active_requests",
    "inc_active_requests",
    "inc_cache_hit",
    "inc_cache_miss",
    "init_prometheus",
    "record_llm_cost",
    "record_llm_error",
    "record_llm_latency",
    "record_llm_tokens",
    "record_rate_limit",
]
