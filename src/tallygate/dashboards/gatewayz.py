"""Gatewayz' dashboard: the ten panels that its document recommends, each in the form that answers.

Mended: the error rate is one of all requests and not of each series by itself; quantiles are of rates; what can be
summed is summed; the cache hit rate is one of the chosen time; Top Users by Requests, for which no query was ever
given, asks for the keys that were used.
"""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import bars, gauge, stat, table, timeseries
from tallygate.dashboards.variables import chained, sources, vocabulary

ask = vocabulary("gatewayz", "provider")
http, took = ask("http_requests_total"), ask("http_request_duration_seconds")
hits, misses = ask("cache_hits_total").rate().sum("cache_name"), ask("cache_misses_total").rate().sum("cache_name")

GATEWAYZ = Board(
    uid="tallygate-gatewayz",
    title="Gatewayz",
    help="Requests, errors, response times, tokens, credits, cache, providers and limits, in Gatewayz' names.",
    dialect="gatewayz",
    variables=(*sources(), *chained(ask("model_inference_requests_total"), "provider")),
    time="now-6h",
    rows=(
        Row(
            "Gateway",
            (
                timeseries(
                    "Request Rate (requests/sec)",
                    "HTTP requests per second by endpoint; those for the metrics themselves do not count.",
                    "A fall to 0 is a lost load balancer or a deployment; a jump, a new caller or retries.",
                    http.rate().sum("endpoint"),
                    unit=units.RequestsPerSecond,
                ),
                gauge(
                    "Error Rate (%)",
                    "Share of requests that were answered with a 5xx status, in percent.",
                    "Above 5: see Provider Availability, and the gateway's log of errors.",
                    http.like(status_code="5..").rate().sum() / http.rate().sum().at_least(1e-9) * 100,
                    unit=units.Percent,
                    max=100,
                    thresholds={1: "yellow", 5: "red"},
                    width=6,
                    height=8,
                ),
                stat(
                    "Response Time (percentiles)",
                    "P50, P95 and P99 of the time from the first byte of a request to the last of its answer.",
                    "Streams last as long as their answers. All three climb: the providers are slow.",
                    *((f"P{share:g}", took.quantile(share / 100)) for share in (50, 95, 99)),
                    unit=units.Seconds,
                    thresholds={2.5: "yellow"},
                    width=6,
                    height=8,
                ),
                bars(
                    "Tokens Used (daily)",
                    "Tokens of the last 24 hours by model, in and out.",
                    "A model that grew alone is a caller that changed: see Top Models by Usage.",
                    ("{{model}} {{token_type}}", ask("tokens_used_total").increase("24h").sum("model", "token_type")),
                    unit=units.Short,
                ),
                bars(
                    "Credits Used (daily)",
                    "Credits of the last 24 hours by model; one is a USD.",
                    "More than was planned: see Top Users by Requests for whose key it is.",
                    ask("credits_used_total").increase("24h").sum("model"),
                    unit=units.Dollars,
                ),
                gauge(
                    "Cache Hit Rate (%)",
                    "Share of lookups that found an answer, in percent, by cache; 0 when there were none.",
                    "Below what it was last week: requests changed, or entries live too short.",
                    hits / (hits + misses).at_least(1e-9) * 100,
                    unit=units.Percent,
                    max=100,
                    thresholds={float("-inf"): "red", 50: "yellow", 80: "green"},
                    width=8,
                    height=8,
                ),
                table(
                    "Provider Availability (gauge)",
                    "Whether each provider can be called, 1 or 0, and the share of its calls that failed lately.",
                    "0: its breaker is open or its probe failed. Look at its status page, and let others serve.",
                    ("Available", ask("provider_availability").now.min("provider")),
                    ("Error rate", ask("provider_error_rate").now.max("provider")),
                    units=(units.Short, units.PercentUnit),
                    thresholds={
                        "Available": {float("-inf"): "red", 1: "green"},
                        "Error rate": {0.05: "yellow", 0.25: "red"},
                    },
                    width=8,
                ),
                bars(
                    "Top Models by Usage",
                    "The ten models with the most requests in the last 24 hours.",
                    "A dear model up here may be one that nobody chose: look whose keys ask for it.",
                    ask("model_inference_requests_total").increase("24h").sum("model").top(10),
                    unit=units.Short,
                ),
                bars(
                    "Top Users by Requests",
                    "The ten API keys with the most requests in the last 24 hours. No family counts the requests of"
                    " users; a user's keys come nearest. All keys are one bar until metrics.identities.api_key_id is"
                    " set.",
                    "A key far ahead of the others may have leaked, or is in a loop: limit it, or rotate it.",
                    ask("api_key_usage_total").increase("24h").sum("api_key_id").top(10),
                    unit=units.Short,
                ),
                timeseries(
                    "Rate Limited Requests",
                    "Requests that a limit refused in the five minutes before each moment, by limit.",
                    "One key or user: it needs a higher limit or fewer requests. provider or model: a shared one.",
                    ask("rate_limited_requests_total").increase("5m").sum("limit_type"),
                    unit=units.Short,
                ),
            ),
        ),
    ),
)
