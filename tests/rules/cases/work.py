"""Cases of tools, tasks, queues, caches and databases."""

from tests.rules.case import Case
from tests.rules.series import Dialect, Series, together

ours = Dialect("tallygate")

JOB = {"job": "tallygate"}
SEARCH = {"server": "github", "tool": "search"}
EMBED = {**JOB, "task_type": "embed"}


def tools(failed: float, calls: float, error_type: str = "timeout") -> Series:
    return together(
        ours("tallygate_tool_errors_total", failed, **SEARCH, error_type=error_type),
        ours("tallygate_tool_calls_total", calls, **SEARCH),
    )


def tasks(active: str, ended: str) -> Series:
    return together(
        ours("tallygate_tasks_active", active, task_type="embed"),
        ours("tallygate_task_runs_total", ended, task_type="embed", outcome="completed"),
    )


def event(event: str, values: str) -> Series:
    return ours("tallygate_task_events_total", values, task_type="embed", event=event)


def oldest(seconds: str, queue: str) -> Series:
    return ours("tallygate_queue_oldest_age_seconds", seconds, queue=queue)


def looks(before: tuple[int, int], now: tuple[int, int]) -> Series:
    """Hits and misses a minute, for a day, and then for an hour and a half."""
    return together(
        *(
            ours(
                "tallygate_cache_lookups_total",
                f"0+{before[which]}x1440 {before[which] * 1440 + now[which]}+{now[which]}x89",
                cache="responses",
                result=result,
            )
            for which, result in enumerate(("hit", "miss"))
        )
    )


def statements(failed: float, well: float) -> Series:
    labels = {"system": "postgresql", "table": "users"}
    return together(
        ours("tallygate_db_queries_total", failed, **labels, status="error"),
        ours("tallygate_db_queries_total", well, **labels, status="success"),
    )


def store(values: str) -> Series:
    return ours("tallygate_store_failures_total", values, store="limits", operation="read")


CASES = (
    Case(
        "TallygateToolErrors",
        tools(3, 10),
        {**JOB, **SEARCH},
        "Tool search fails often",
        "30% of the calls of search of the MCP server github fail.",
        {
            "19 %": tools(1.9, 10),
            "a policy blocks them": tools(9, 10, "blocked"),
            "15 calls in a quarter of an hour": tools(1, 1),
        },
    ),
    Case(
        "TallygateTasksStuck",
        tasks("2x180", "0+1x20 20x160"),
        EMBED,
        "Tasks of the type embed run and do not end",
        "2 tasks of the type embed are running; for more than an hour none has ended.",
        {"one ended half an hour ago": tasks("2x180", "0x120 1x60"), "none runs": tasks("0x180", "20x180")},
        at="150m",
    ),
    Case(
        "TallygateTasksStuck",
        ours("tallygate_tasks_active", "1x180", task_type="embed"),
        EMBED,
        "Tasks of the type embed run and do not end",
        "1 tasks of the type embed are running; for more than an hour none has ended.",
        {"for less than an hour": ours("tallygate_tasks_active", "0x100 1x80", task_type="embed")},
        at="150m",
    ),
    Case(
        "TallygateTasksLost",
        event("stuck_reset", "0x20 2x20"),
        {**EMBED, "event": "stuck_reset"},
        "Tasks of the type embed were given up or lost their worker",
        "2 tasks of the type embed in the last hour: stuck_reset.",
        {"long ago": event("dead", "2x40"), "they were enqueued": event("enqueued", "0x20 2x20")},
    ),
    Case(
        "TallygateQueueOld",
        oldest("960x40", "embeddings"),
        {**JOB, "queue": "embeddings"},
        "The queue embeddings is not worked off",
        "The oldest in embeddings has waited for 16m 0s.",
        {"a quarter of an hour": oldest("890x40", "embeddings"), "for a moment": oldest("0x27 960x12", "embeddings")},
    ),
    Case(
        "TallygateUsageBacklog",
        oldest("330x40", "usage"),
        {**JOB, "instance": "gateway:4000"},
        "The usage ledger is not written",
        "Calls of gateway:4000 have waited for 5m 30s to be written.",
        {"four minutes": oldest("240x40", "usage"), "another queue": oldest("330x40", "embeddings")},
        severity="critical",
    ),
    Case(
        "TallygateCacheCollapse",
        looks((50, 50), (20, 80)),
        {**JOB, "cache": "responses"},
        "The cache responses hits less than half as often as before",
        "20% of the looks into responses hit; the day before it was more than twice that.",
        {
            "a little more than half": looks((50, 50), (28, 72)),
            "it never hit": looks((9, 91), (0, 100)),
            "three looks a minute": looks((50, 50), (0, 3)),
        },
        at="1500m",
        every="15m",
    ),
    Case(
        "TallygateDatabaseErrors",
        statements(6, 94),
        {**JOB, "system": "postgresql"},
        "Statements to postgresql fail",
        "6% of the statements sent to postgresql fail.",
        {"4 %": statements(4, 96), "three a minute": statements(3, 0)},
        severity="critical",
    ),
    Case(
        "TallygateStoreFailures",
        store("0x20 0+1x20"),
        {**JOB, "store": "limits", "operation": "read"},
        "The store limits fails",
        "9 times in 15 minutes, read failed at the store limits; calls went on.",
        {"long ago": store("5x40"), "a moment ago": store("0x27 1x20")},
    ),
)
