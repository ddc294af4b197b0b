"""A board for Erato, which brings none: what its families are for."""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Board, Row
from tallygate.dashboards.panels import PER_SECOND, bars, heatmap, percentiles, stat, table, timeseries
from tallygate.dashboards.variables import chained, sources, vocabulary

ask = vocabulary("erato", "chat_provider_id")
provider = "chat_provider_id"
first = ask("erato_chat_provider_time_to_first_token_seconds")
last = ask("erato_chat_provider_time_to_last_token_seconds")
errors = ask("erato_chat_provider_generation_errors_total")
info = ask("erato_chat_provider_info").now
kinds = info.aggregated("group", (provider, "provider_kind"))
sessions, queries = ask("erato_mcp_active_sessions").now, ask("erato_postgres_query_duration_seconds")
failed_queries = queries.where(status="error")

NOW = Row(
    "Now",
    (
        stat(
            "Generations",
            "Streamed chat generations that came to their end, per second.",
            "0 with people at work: see Errors by type.",
            last.rate().sum(),
            unit=PER_SECOND,
        ),
        stat(
            "Errors",
            "Chat generations that failed, per second.",
            "Errors by type says why.",
            errors.rate().sum(),
            unit=PER_SECOND,
            thresholds={0.1: "red"},
        ),
        stat(
            "Time to first token, P95",
            "19 of 20 chats show their first token sooner.",
            "See Time to first token by provider.",
            first.quantile(0.95),
            unit=units.Seconds,
            thresholds={1: "yellow", 3: "red"},
        ),
        stat(
            "MCP sessions",
            "Sessions with MCP servers that are open now.",
            "0: no server can be reached.",
            sessions.sum(),
            unit=units.Short,
        ),
        stat(
            "Fullest cache",
            "Used over configured capacity of the fullest cache.",
            "At 1 entries are evicted: see Caches.",
            ask("erato_cache_fill_ratio").now.max(),
            unit=units.PercentUnit,
            thresholds={0.9: "red"},
        ),
        stat(
            "Failed queries",
            "PostgreSQL queries that failed, per second.",
            "Failing queries names them.",
            failed_queries.rate().sum(),
            unit=PER_SECOND,
            thresholds={0.01: "red"},
        ),
    ),
)

CHAT = Row(
    "Chat providers",
    (
        timeseries(
            "Time to first token by provider, P95",
            "From dispatch to the first token of a streamed generation.",
            "One provider: its queue. All of them: the network, or prompts that grew.",
            first.quantile(0.95, provider),
            unit=units.Seconds,
            thresholds={3: "red"},
        ),
        timeseries(
            "Time to last token by provider, P95",
            "From dispatch to the last token of a streamed generation.",
            "It climbs while the first token does not: answers grew, or the model slowed down.",
            last.quantile(0.95, provider),
            unit=units.Seconds,
        ),
        timeseries(
            "Time to first token",
            "Of all providers.",
            "P99 alone: retries, or cold prompt caches.",
            *percentiles(first),
            unit=units.Seconds,
        ),
        heatmap(
            "Time to last token, spread",
            "How many generations took how long. The dots are exemplars: click one for its trace.",
            "A band that moves up is a slower provider.",
            last.rate(part="bucket").sum("le"),
            unit=units.Seconds,
        ),
        timeseries(
            "Generations by provider",
            "Streamed generations that came to their end, per second.",
            "A provider that falls to 0 is down, or nobody chooses it.",
            last.rate().sum(provider),
            unit=PER_SECOND,
            stacked=True,
            width=8,
        ),
        timeseries(
            "Errors by type",
            "Generations that failed in the hour before each moment.",
            "rate_limit, model_unavailable: the provider. content_filter: prompts. internal_error: our network or us.",
            errors.increase("1h").sum("error_type"),
            unit=units.Short,
            width=8,
        ),
        timeseries(
            "Errors by provider",
            "Generations that failed per second, with the kind of the provider.",
            "One provider: its status page.",
            (
                "{{chat_provider_id}} ({{provider_kind}})",
                errors.rate().sum(provider).told_by(kinds, (provider,), ("provider_kind",)),
            ),
            unit=PER_SECOND,
            width=8,
        ),
        table(
            "Providers and their models",
            "What is configured.",
            "A model is missing: it is not in the configuration that runs.",
            ("Configured", info.max(provider, "provider_kind", "model_name")),
            units=[units.Short],
            width=12,
        ),
        timeseries(
            "MCP sessions by server",
            "Sessions with each server that are open now.",
            "0 for a server that should have one: it is down, or refuses its credentials.",
            sessions.sum("server_id"),
            unit=units.Short,
        ),
    ),
)

CACHES = Row(
    "Caches",
    (
        timeseries(
            "Fill by cache",
            "Used over configured capacity, of the fullest worker.",
            "Above 0.9 entries are evicted for new ones: make it larger.",
            ask("erato_cache_fill_ratio").now.max("cache"),
            unit=units.PercentUnit,
            thresholds={0.9: "red"},
            max=1,
        ),
        table(
            "Caches",
            "What each cache holds and may hold.",
            "A time to live of 0 is none: entries stay until they are evicted.",
            ("Entries", ask("erato_cache_entries").now.sum("cache")),
            ("Used", ask("erato_cache_used_size_bytes").now.sum("cache")),
            ("Capacity", ask("erato_cache_max_size_bytes").now.sum("cache")),
            ("Time to live", ask("erato_cache_time_to_live_seconds").now.max("cache")),
            ("Time to idle", ask("erato_cache_time_to_idle_seconds").now.max("cache")),
            units=[units.Short, units.BytesIEC, units.BytesIEC, units.Seconds, units.Seconds],
            width=12,
        ),
    ),
)

DATABASE = Row(
    "PostgreSQL",
    (
        timeseries(
            "Queries",
            "Queries per second by how they ended.",
            "error: see Failing queries.",
            queries.rate().sum("status"),
            unit=PER_SECOND,
            stacked=True,
        ),
        timeseries(
            "Duration of queries",
            "From sent to executed.",
            "P99 alone: locks or one bad plan. All: the database is short of memory or connections.",
            *percentiles(queries),
            unit=units.Seconds,
        ),
        bars(
            "Slow queries",
            "Mean duration of the slowest statements in the time that is shown.",
            "Explain the first one; a hash is a statement without a registered name.",
            queries.mean("query_id", window="$__range").top(10),
            unit=units.Seconds,
            width=12,
        ),
        bars(
            "Failing queries",
            "Statements that failed in the time that is shown.",
            "Constraint errors are the program's; connection errors the database's.",
            failed_queries.increase("$__range").sum("query_id").top(10),
            unit=units.Short,
            width=12,
        ),
    ),
)

RUNTIME = Row(
    "Runtime",
    (
        timeseries(
            "Workers, tasks and what waits",
            "Live workers, asyncio tasks, and callbacks that waited when sampled, in Tokio's names.",
            "Tasks that only climb are never awaited.",
            ("workers", ask("tokio_workers_count").now.sum()),
            ("tasks", ask("tokio_live_tasks_count").now.sum()),
            ("waiting", ask("tokio_global_queue_depth").now.sum()),
            unit=units.Short,
        ),
        timeseries(
            "Event loops, busy",
            "CPU time of the threads that run the loops, per worker: 1 is a full core.",
            "Near 1: add workers.",
            ask("tokio_total_busy_duration").rate().sum().share_of(ask("tokio_workers_count").now.sum()) / 1_000_000,
            unit=units.PercentUnit,
            thresholds={0.8: "red"},
        ),
        table(
            "Builds",
            "What runs and where.",
            "Two versions for long: a deployment is stuck.",
            (
                "Workers",
                ask("erato_info").now.max("instance", "version", "environment", "service", "deployment_version"),
            ),
            units=[units.Short],
        ),
    ),
)

ERATO = Board(
    uid="tallygate-erato",
    title="Erato",
    help="Chat providers, MCP sessions, caches, PostgreSQL and the runtime, in Erato's names.",
    dialect="erato",
    variables=(*sources(), *chained(last, provider)),
    rows=(NOW, CHAT, CACHES, DATABASE, RUNTIME),
)
