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

__all__ = ["GATEWAYZ"]
