"""What is around the calls: tools, tasks, queues, caches, databases."""

from __future__ import annotations

from collections.abc import Iterator

from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group

TOOL = ("job", "server", "tool")
TASK = ("job", "task_type")
CACHE = ("job", "cache")


def groups(given: Given) -> tuple[Group, ...]:
    """One."""
    return (Group("tallygate-work", (*_tools(given), *_tasks(given), *_caches(given), *_databases(given))),)


def _tools(given: Given) -> Iterator[Alert]:
    errors = given("tallygate_tool_errors_total").unlike(error_type="blocked")
    yield Alert(
        "TallygateToolErrors",
        given.share_above(0.2, errors, given("tallygate_tool_calls_total"), *TOOL, window="15m"),
        "warning",
        "Tool {{ $labels.tool }} fails often",
        "{{ $value | humanizePercentage }} of the calls of {{ $labels.tool }}"
        "{{ with $labels.server }} of the MCP server {{ . }}{{ end }} fail.",
        wait="5m",
        keep="15m",
    )


def _tasks(given: Given) -> Iterator[Alert]:
    hour = given.span("1h")
    ended = given("tallygate_task_runs_total").increase(hour).sum(*TASK).above(0)
    lost = given("tallygate_task_events_total").like(event="dead|stuck_reset")
    ages = given("tallygate_queue_oldest_age_seconds")
    yield Alert(
        "TallygateTasksStuck",
        given("tallygate_tasks_active").now.sum(*TASK).above(0).unless(ended),
        "warning",
        "Tasks of the type {{ $labels.task_type }} run and do not end",
        "{{ $value | humanize }} tasks of the type {{ $labels.task_type }} are running; for more than an hour none has"
        " ended.",
        wait="1h",
    )
    yield Alert(
        "TallygateTasksLost",
        lost.increase(hour).sum(*TASK, "event").above(0),
        "warning",
        "Tasks of the type {{ $labels.task_type }} were given up or lost their worker",
        "{{ $value | humanize }} tasks of the type {{ $labels.task_type }} in the last hour: {{ $labels.event }}.",
        keep="15m",
    )
    yield Alert(
        "TallygateQueueOld",
        ages.unlike(queue="usage").now.max("job", "queue").above(900),
        "warning",
        "The queue {{ $labels.queue }} is not worked off",
        "The oldest in {{ $labels.queue }} has waited for {{ $value | humanizeDuration }}.",
        wait="5m",
        keep="5m",
    )
    yield Alert(
        "TallygateUsageBacklog",
        ages.where(queue="usage").now.max("job", "instance").above(300),
        "critical",
        "The usage ledger is not written",
        "Calls of {{ $labels.instance }} have waited for {{ $value | humanizeDuration }} to be written.",
        wait="2m",
        keep="5m",
    )


def _caches(given: Given) -> Iterator[Alert]:
    looks = given("tallygate_cache_lookups_total")
    hits, half_hour, day = looks.where(result="hit"), given.span("30m"), given.span("1d")
    now = hits.rate(half_hour).sum(*CACHE) / looks.rate(half_hour).sum(*CACHE)
    before = hits.ago(half_hour).rate(day).sum(*CACHE) / looks.ago(half_hour).rate(day).sum(*CACHE)
    yield Alert(
        "TallygateCacheCollapse",
        now.below(before * 0.5).and_(before.above(0.1)).and_(looks.increase(half_hour).sum(*CACHE).above(100)),
        "warning",
        "The cache {{ $labels.cache }} hits less than half as often as before",
        "{{ $value | humanizePercentage }} of the looks into {{ $labels.cache }} hit; the day before it was more than"
        " twice that.",
        wait="15m",
        keep="15m",
    )


def _databases(given: Given) -> Iterator[Alert]:
    statements = given("tallygate_db_queries_total")
    yield Alert(
        "TallygateDatabaseErrors",
        given.share_above(0.05, statements.where(status="error"), statements, "job", "system"),
        "critical",
        "Statements to {{ $labels.system }} fail",
        "{{ $value | humanizePercentage }} of the statements sent to {{ $labels.system }} fail.",
        wait="5m",
        keep="5m",
    )
    yield Alert(
        "TallygateStoreFailures",
        given("tallygate_store_failures_total").increase(given.span("15m")).sum("job", "store", "operation").above(0),
        "warning",
        "The store {{ $labels.store }} fails",
        "{{ $value | humanize }} times in 15 minutes, {{ $labels.operation }} failed at the store {{ $labels.store }};"
        " calls went on.",
        wait="5m",
        keep="15m",
    )
