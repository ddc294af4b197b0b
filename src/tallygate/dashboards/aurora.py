"""Aurora's dashboard: its five panels, the steps of a request, and what else its families tell."""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import PER_SECOND, heatmap, percentiles, stat, timeseries
from tallygate.dashboards.variables import chained, sources, vocabulary

ask = vocabulary("aurora", "provider", "model", "endpoint")
requests, duration = ask("aurora_requests_total"), ask("aurora_request_duration_seconds")
failed = requests.where(status_type="error").rate()
in_flight = ask("aurora_requests_in_flight").now
# The endpoint of a phase is the path of the request to the gateway, not that of the provider.
phases = vocabulary("aurora")("aurora_gateway_phase_duration_seconds")

NOW = Row(
    "Now",
    (
        stat(
            "Requests",
            "LLM requests that ended, per second.",
            "0 with clients at work: the gateway is not reached.",
            requests.rate().sum(),
            unit=units.RequestsPerSecond,
            width=6,
        ),
        stat(
            "Error rate",
            "Share of requests that failed; 0 when there were none.",
            "See Requests by status for whose fault it is.",
            failed.sum().share_of(requests.rate().sum()),
            unit=units.PercentUnit,
            thresholds={0.01: "yellow", 0.05: "red"},
            width=6,
        ),
        stat(
            "P99 latency",
            "99 of 100 requests are faster.",
            "See P95 Latency by Provider.",
            duration.quantile(0.99),
            unit=units.Seconds,
            thresholds={5: "yellow", 10: "red"},
            width=6,
        ),
        stat(
            "In flight",
            "Requests going on now; a stream counts until it closes.",
            "It climbs while Requests does not: requests hang.",
            in_flight.sum(),
            unit=units.Short,
            thresholds={100: "red"},
            width=6,
        ),
    ),
)

REQUESTS = Row(
    "Requests",
    (
        timeseries(
            "Request Rate by Provider",
            "LLM requests per second.",
            "A provider that falls to 0 is down or has lost its callers.",
            requests.rate().sum("provider"),
            unit=units.RequestsPerSecond,
        ),
        timeseries(
            "Error Rate %",
            "Share of requests that failed, 0 when there were none.",
            "One provider: its status page. All of them: our network or our keys.",
            ("all", failed.sum().share_of(requests.rate().sum()) * 100),
            ("{{provider}}", failed.sum("provider").share_of(requests.rate().sum("provider")) * 100),
            unit=units.Percent,
            thresholds={5: "red"},
        ),
        timeseries(
            "P95 Latency by Provider",
            "19 of 20 requests of a provider are faster, from dispatch to the last byte.",
            "One provider climbs: its queue; compare with the steps of a request.",
            duration.quantile(0.95, "provider"),
            unit=units.Seconds,
            thresholds={10: "red"},
        ),
        timeseries(
            "In-Flight Requests",
            "Requests going on now.",
            "Above 100 for a provider its limits are near.",
            in_flight.sum("provider"),
            unit=units.Short,
            thresholds={100: "red"},
        ),
        timeseries(
            "Request Rate by Model",
            "LLM requests per second.",
            "The model 'other' is one that no configuration or price knows.",
            requests.rate().sum("model"),
            unit=units.RequestsPerSecond,
        ),
        timeseries(
            "Requests by Status",
            "LLM requests per second by HTTP status; network_error when there was none.",
            "401, 403: keys. 429: limits. 5xx and network_error: the provider.",
            requests.rate().sum("status_code"),
            unit=units.RequestsPerSecond,
        ),
        timeseries(
            "Latency",
            "How long requests take.",
            "P99 alone: retries or a few long answers. P50 too: the provider slowed down.",
            *percentiles(duration),
            unit=units.Seconds,
            thresholds={10: "red"},
        ),
        heatmap(
            "Latency, spread",
            "How many requests took how long. The dots are exemplars: click one for its trace.",
            "A band that moves up is a slower provider.",
            duration.rate(part="bucket").sum("le"),
            unit=units.Seconds,
        ),
        timeseries(
            "Requests by Endpoint",
            "LLM requests per second, streamed or not.",
            "An endpoint that vanished: an application changed or stopped.",
            ("{{endpoint}} stream={{stream}}", requests.rate().sum("endpoint", "stream")),
            unit=units.RequestsPerSecond,
        ),
        timeseries(
            "P95 Latency by Model",
            "19 of 20 requests of a model are faster.",
            "A slow model is asked for too much, or its provider is full.",
            duration.quantile(0.95, "model"),
            unit=units.Seconds,
        ),
    ),
)

PHASES = Row(
    "Steps of a request",
    (
        timeseries(
            "P95 by Phase",
            "Time spent in each step of a request's way through the gateway.",
            "decode: large requests. prepare: limits and stores. response_write: slow readers.",
            phases.unlike(phase="provider_dispatch|total").quantile(0.95, "phase"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Time per Request by Phase",
            "Mean time of each step: provider_dispatch is the provider's, the others are the gateway's.",
            "One of the gateway's own grows: look at its CPU and its stores.",
            phases.mean("phase"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Failed Steps",
            "Steps of requests that ended in an error, per second.",
            "provider_dispatch: the providers. decode: a client sends what cannot be read.",
            phases.where(status="error").rate().sum("phase"),
            unit=PER_SECOND,
            width=8,
        ),
    ),
)

PROGRAM = Row(
    "Stores and process",
    (
        timeseries(
            "Records that were not stored",
            "Response snapshots, audit and usage records that a store lost in whole or in part, per second.",
            "Any: the store is away or full; records have gaps from here on.",
            ("response snapshot", ask("aurora_response_snapshot_store_failures_total").rate().sum().or_zero()),
            ("audit log", ask("aurora_audit_log_partial_write_failures_total").rate().sum().or_zero()),
            ("usage", ask("aurora_usage_partial_write_failures_total").rate().sum().or_zero()),
            unit=PER_SECOND,
            width=6,
        ),
        timeseries(
            "CPU",
            "CPU time per second: 1 is a full core.",
            "Full cores without more requests: large bodies, or compression.",
            ask("process_cpu_seconds_total").rate().sum("instance"),
            unit=units.Short,
            width=6,
        ),
        timeseries(
            "Memory",
            "Resident and virtual memory.",
            "It climbs for days: a leak; restart, then look for it.",
            ("resident {{instance}}", ask("process_resident_memory_bytes").now.sum("instance")),
            ("virtual {{instance}}", ask("process_virtual_memory_bytes").now.sum("instance")),
            unit=units.BytesIEC,
            width=6,
        ),
        timeseries(
            "File Descriptors",
            "Open ones, and how many one worker may have.",
            "Near the limit: connections are not closed, or the limit is too low (ulimit -n).",
            ("open {{instance}}", ask("process_open_fds").now.sum("instance")),
            ("may have {{instance}}", ask("process_max_fds").now.min("instance")),
            unit=units.Short,
            width=6,
        ),
        stat(
            "Oldest worker",
            "When the oldest live worker started.",
            "Minutes ago without a deployment: the gateway restarts by itself.",
            ask("process_start_time_seconds").now.min() * 1000,
            unit=units.DateTimeFromNow,
            width=24,
        ),
    ),
)

AURORA = Board(
    uid="tallygate-aurora",
    title="Aurora Gateway",
    help="Requests, errors, latency and steps by provider and model, in Aurora's names.",
    dialect="aurora",
    variables=(*sources(), *chained(requests, "provider", "model", "endpoint")),
    rows=(NOW, REQUESTS, PHASES, PROGRAM),
)
