"""The vocabulary of Gatewayz: the 23 families of its document, all of them fed, and a client's process families.

Kept: names, labels, units and buckets. ``user_id`` and ``api_key_id``, which its document promises and its code drops,
are labels again, empty unless those identities are turned on; Prometheus takes an empty label for none.

Better than the original: ``database_query_duration_seconds`` is a histogram with ``_bucket`` beside the ``_sum`` and
``_count`` of the original's summary, so quantile queries have an answer; every call counts once, streams and their
failures too; a failed request, a hit and a miss are there from 0, so ratios have an answer; unknown paths are one
``endpoint``, ``unmatched``. Requests for ``/metrics`` do not count. A caller that leaves is no error.

Latencies above the greatest bucket (5 s for HTTP, 60 s for inference) cannot be told apart; the buckets of the
``tallygate`` dialect go on to 300 and 600 s.
"""

from tallygate.dialects.gatewayz.families import GATEWAYZ
from tallygate.dialects.gatewayz.helpers import (
    record_api_key_usage,
    record_cache_hit,
    record_cache_miss,
    record_credits_used,
    record_http_response,
    record_rate_limited_request,
    record_tokens_used,
    set_active_api_keys,
    set_active_connections,
    set_cache_size,
    set_provider_availability,
    set_provider_error_rate,
    set_queue_size,
    set_subscription_count,
    set_trial_count,
    set_user_credit_balance,
    track_database_query,
    track_http_request,
    track_model_inference,
    track_provider_response_time,
)

__all__ = [
    "GATEWAYZ",
    "record_api_key_usage",
    "record_cache_hit",
    "record_cache_miss",
    "record_credits_used",
    "record_http_response",
    "record_rate_limited_request",
    "record_tokens_used",
    "set_active_api_keys",
    "set_active_connections",
    "set_cache_size",
    "set_provider_availability",
    "set_provider_error_rate",
    "set_queue_size",
    "set_subscription_count",
    "set_trial_count",
    "set_user_credit_balance",
    "track_database_query",
    "track_http_request",
    "track_model_inference",
    "track_provider_response_time",
]
