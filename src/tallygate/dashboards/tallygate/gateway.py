"""Rows about the gateway itself: what it adds to a call, how it deals with providers that fail, and who may call."""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Row
from tallygate.dashboards.panels import PER_SECOND, bars, heatmap, percentiles, table, timeseries
from tallygate.dashboards.variables import vocabulary

ask = vocabulary("tallygate", "provider", "model", "route")
calls = ask("tallygate_llm_calls_total")
overhead = ask("tallygate_gateway_overhead_seconds")
attempts = ask("tallygate_upstream_attempts_total")
lookups = ask("tallygate_cache_lookups_total")

GATEWAY = Row(
    "Gateway and its upstreams",
    (
        timeseries(
            "Gateway overhead",
            "Time of a call in which no upstream was being waited for.",
            "Above some milliseconds: look at Application Metrics for event loop lag, and at the stores it asks.",
            *percentiles(overhead),
            unit=units.Seconds,
            thresholds={0.05: "red"},
        ),
        heatmap(
            "Gateway overhead, spread",
            "How many calls carried how much overhead.",
            "A second band above the first: some calls wait for a limit, a cache or a full event loop.",
            overhead.rate(part="bucket").sum("le"),
            unit=units.Seconds,
        ),
        timeseries(
            "Steps of a request, P95",
            "Time spent in each step of a request's way through the gateway.",
            "decode: large requests. prepare: limits and stores. response_write: slow readers.",
            ask("tallygate_gateway_phase_duration_seconds").quantile(0.95, "phase"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Steps that failed",
            "Steps of requests that ended in an error, per second.",
            "provider_dispatch: the providers; see Errors. decode: a client sends what cannot be read.",
            ask("tallygate_gateway_phase_duration_seconds").where(status="error").rate().sum("phase"),
            unit=PER_SECOND,
            width=8,
        ),
        timeseries(
            "Answers from the cache",
            "Share of lookups that found an answer, by cache; 0 when there were none.",
            "It collapsed: prompts carry something that changes, or the cache lost its store.",
            lookups.where(result="hit").rate().sum("cache").share_of(lookups.rate().sum("cache")),
            unit=units.PercentUnit,
            width=8,
        ),
        timeseries(
            "Time to headers by provider, P95",
            "From dispatch to the head of a provider's reply.",
            "It climbs before errors do: the provider's queue grows; send load elsewhere.",
            ask("tallygate_upstream_time_to_headers_seconds").quantile(0.95, "provider"),
            unit=units.Seconds,
        ),
        timeseries(
            "Attempts by provider, P95",
            "How long single requests on the wire to a provider take.",
            "Longer than Duration tells per call: calls race or retry; see Retries.",
            ask("tallygate_upstream_attempt_duration_seconds").quantile(0.95, "provider"),
            unit=units.Seconds,
        ),
        timeseries(
            "Attempts by status",
            "Requests on the wire to providers per second; a call that retries makes several.",
            "network_error: connections, DNS or a proxy. 401 and 403: a key.",
            ("{{provider}} {{status_code}}", attempts.rate().sum("provider", "status_code")),
            unit=PER_SECOND,
        ),
        timeseries(
            "Retries",
            "Further attempts per second, and why the one before had failed.",
            "Steady retries hide a sick provider: mend it before its breaker opens.",
            ask("tallygate_upstream_retries_total").rate().sum("provider", "reason"),
            unit=PER_SECOND,
        ),
        timeseries(
            "Time waited for retries, P95",
            "Pause between a failed attempt and the next.",
            "Seconds: the provider asks for them (Retry-After); let calls fall back sooner.",
            ask("tallygate_upstream_retry_pause_seconds").quantile(0.95, "provider"),
            unit=units.Seconds,
            width=8,
        ),
        timeseries(
            "Fallbacks",
            "Calls per second for which another model was asked.",
            "Answers come from another model than was asked for: find out why the first one cannot serve.",
            (
                "{{from_model}} to {{to_model}}",
                ask("tallygate_model_fallbacks_total").rate().sum("from_model", "to_model"),
            ),
            unit=PER_SECOND,
            width=8,
        ),
        timeseries(
            "Deployments spared",
            "Share of time in which a deployment is spared, as its provider said to slow down.",
            "Near 1: its quota is far too small for its load.",
            ask("tallygate_upstream_cooldown_seconds_total").rate().sum("provider", "model"),
            unit=units.PercentUnit,
            width=8,
        ),
        timeseries(
            "Breakers that are not closed",
            "1 while a deployment is out of service (open) or on trial (half_open).",
            "Open for minutes: its provider is down; see Errors by type for that provider.",
            (
                "{{provider}} {{model}} {{tallygate_breaker_state}}",
                ask("tallygate_breaker_state")
                .like(tallygate_breaker_state="open|half_open")
                .now.max("provider", "model", "tallygate_breaker_state"),
            ),
            unit=units.Short,
            thresholds={1: "red"},
        ),
        timeseries(
            "Cool-downs and breaker openings",
            "How often a deployment was taken out of service, per second.",
            "A breaker that opens again and again: its threshold is too low, or the provider is half dead.",
            (
                "cool-down {{provider}} {{model}}",
                ask("tallygate_upstream_cooldowns_total").rate().sum("provider", "model"),
            ),
            (
                "open {{provider}} {{model}}",
                ask("tallygate_breaker_changes_total").where(state="open").rate().sum("provider", "model"),
            ),
            unit=PER_SECOND,
        ),
        table(
            "Providers and their models",
            "What is configured.",
            "A model is missing: it is not in the configuration that runs; compare Builds in Application Metrics.",
            ("Configured", ask("tallygate_provider_info").now.max("provider", "kind", "model")),
            units=[units.Short],
        ),
    ),
)

ACCOUNTS = Row(
    "Accounts and limits",
    (
        timeseries(
            "Refused by limits",
            "Requests per second that a limit of ours refused, by limit.",
            "Expected when a caller is too fast. If all are: the limit is too low.",
            ask("tallygate_rate_limited_total").rate().sum("limit_type"),
            unit=PER_SECOND,
            width=8,
        ),
        timeseries(
            "Left of limits",
            "What is left of each limit, as whoever looked last saw it.",
            "At 0: its callers are being refused.",
            ask("tallygate_rate_limit_remaining").now.min("limit_type"),
            unit=units.Short,
            width=8,
        ),
        timeseries(
            "Uses of keys",
            "Uses of the gateway's keys per second, by what came of them.",
            "expired or inactive ones: somebody still uses an old key; unknown ones: somebody guesses.",
            ask("tallygate_api_key_uses_total").rate().sum("status"),
            unit=PER_SECOND,
            width=8,
        ),
        timeseries(
            "Credits used",
            "Credits taken per hour, at the pace of each moment, by model.",
            "It outruns Credits left: see who pays, then their plan.",
            ask("tallygate_credits_used_total").rate().sum("model") * 3600,
            unit=units.Short,
        ),
        bars(
            "Credits used by payer",
            "Credits in the time that is shown; one bar unless the identity user_id is turned on.",
            "One payer alone: ask whether that is meant.",
            ask("tallygate_credits_used_total").increase("$__range").sum("user_id").top(10),
            unit=units.Short,
            width=6,
        ),
        bars(
            "Credits left",
            "Credits left, by plan.",
            "Near 0: its callers will be refused; top up or change the plan.",
            ask("tallygate_credit_balance").now.sum("plan_type"),
            unit=units.Short,
            width=6,
        ),
        bars(
            "Keys",
            "Keys that exist, by status.",
            "Many inactive ones: delete them.",
            ask("tallygate_api_keys").now.sum("status"),
            unit=units.Short,
        ),
        bars(
            "Trials",
            "Trial accounts, by status.",
            "Many expired ones: ask them, or delete them.",
            ask("tallygate_trials").now.sum("status"),
            unit=units.Short,
        ),
        bars(
            "Subscriptions",
            "Subscriptions, by plan and billing cycle.",
            "A plan that shrinks: ask those who left.",
            ask("tallygate_subscriptions").now.sum("plan_type", "billing_cycle"),
            unit=units.Short,
        ),
    ),
    collapsed=True,
)
