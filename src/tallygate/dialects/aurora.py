"""The vocabulary of Aurora: prefix ``aurora_``, and the process families of a Prometheus client.

Kept: every name, label and bucket; one observation per logical request, retries included, whose last status counts.
Better than the original: a stream is in flight and timed until it ends, a failure after the first byte is an error,
``model`` is bounded, the phase ``total`` of a failed request says so, and errors are there from 0.

``provider_name`` is ``provider``: a provider has one name here. The counters of failed stores count what
``record_store_failure`` is told; Tallygate itself keeps no response snapshots.

Left out because no Python process can tell the truth about them: ``go_*``.
"""

from tallygate.dialects.families import Counter, Dialect, Gauge, Histogram
from tallygate.dialects.process import PROCESS
from tallygate.facts import GatewayPhase, LLMCall, LLMInFlight, StoreFailure

REQUEST_SECONDS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60)
PHASE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)

model = LLMCall.model.as_({"": "unknown"})
status_type = LLMCall.outcome.as_(
    {"completed": "success", "failed": "error", "cancelled": "success"}  # a caller that leaves is nobody's error
).named("status_type")
partial = StoreFailure.operation.among("partial_write")

AURORA = Dialect(
    "aurora",
    Counter(
        "aurora_requests_total",
        LLMCall.count,
        by=(LLMCall.provider, model, LLMCall.endpoint, LLMCall.status_code, status_type, LLMCall.stream),
        zeros=({"status_code": "500", "status_type": "error"},),
        help="Total number of LLM requests",
    ),
    Histogram(
        "aurora_request_duration_seconds",
        LLMCall.duration,
        by=(LLMCall.provider, model, LLMCall.endpoint, LLMCall.stream),
        buckets=REQUEST_SECONDS,
        help="LLM request duration in seconds",
    ),
    Gauge(
        "aurora_requests_in_flight",
        LLMInFlight.now,
        by=(LLMInFlight.provider, LLMInFlight.endpoint, LLMInFlight.stream),
        help="Number of LLM requests currently in flight",
    ),
    Counter(
        "aurora_response_snapshot_store_failures_total",
        StoreFailure.count.where(StoreFailure.store.among("response_snapshot") & StoreFailure.operation.among("store")),
        by=(StoreFailure.provider, StoreFailure.provider.named("provider_name"), StoreFailure.operation),
        help="Total number of response snapshot store failures",
    ),
    Histogram(
        "aurora_gateway_phase_duration_seconds",
        GatewayPhase.duration,
        by=(GatewayPhase.endpoint, GatewayPhase.phase, GatewayPhase.status, GatewayPhase.stream),
        buckets=PHASE_SECONDS,
        help="Duration of gateway request phases in seconds",
    ),
    Counter(
        "aurora_audit_log_partial_write_failures_total",
        StoreFailure.count.where(StoreFailure.store.among("audit_log") & partial),
        help="Audit log writes that succeeded in part",
    ),
    Counter(
        "aurora_usage_partial_write_failures_total",
        StoreFailure.count.where(StoreFailure.store.among("usage") & partial),
        help="Usage writes that succeeded in part",
    ),
    *PROCESS,
    help="Aurora's families, and the process families of a Prometheus client.",
)
