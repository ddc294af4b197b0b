"""Rows about caches, and about the ledger and its pages: what the measuring itself does and costs."""

from grafana_foundation_sdk.models import units

from tallygate.dashboards.board import Row
from tallygate.dashboards.panels import PER_SECOND, bars, percentiles, table, timeseries
from tallygate.dashboards.variables import vocabulary

ask = vocabulary("tallygate", "instance")
lookups = ask("tallygate_cache_lookups_total")
scrape = ask("tallygate_scrape_duration_seconds")

CACHES = Row(
    "Caches and stores",
    (
        timeseries(
            "Hit rate by cache",
            "Share of lookups that found an entry; 0 when there were none.",
            "It collapsed: entries are evicted (see Fill), expire too soon, or their keys changed.",
            lookups.where(result="hit").rate().sum("cache").share_of(lookups.rate().sum("cache")),
            unit=units.PercentUnit,
            width=8,
        ),
        timeseries(
            "Fill",
            "Used over configured capacity, of the fullest worker.",
            "At 1 entries are evicted for new ones: make it larger if the hit rate suffers.",
            ask("tallygate_cache_fill_ratio").now.max("cache"),
            unit=units.PercentUnit,
            thresholds={0.9: "red"},
            max=1,
            width=8,
        ),
        timeseries(
            "Records that were not stored or read",
            "Records of the gateway's own that a store lost, per second, while their calls went on.",
            "Any: the store is away or full; usage and audit records have gaps from here on.",
            ask("tallygate_store_failures_total").rate().sum("store", "operation"),
            unit=PER_SECOND,
            width=8,
        ),
        table(
            "Caches",
            "What each cache holds and may hold.",
            "A time to live of 0 is none: entries stay until they are evicted.",
            ("Entries", ask("tallygate_cache_entries").now.sum("cache")),
            ("Used", ask("tallygate_cache_used_bytes").now.sum("cache")),
            ("Capacity", ask("tallygate_cache_capacity_bytes").now.sum("cache")),
            ("Time to live", ask("tallygate_cache_time_to_live_seconds").now.max("cache")),
            ("Time to idle", ask("tallygate_cache_time_to_idle_seconds").now.max("cache")),
            units=[units.Short, units.BytesIEC, units.BytesIEC, units.Seconds, units.Seconds],
        ),
    ),
)

OWN_HEALTH = Row(
    "The ledger and its pages",
    (
        timeseries(
            "Time to make a page",
            "From a scrape's request to its page, compressed.",
            "Near Prometheus' scrape_timeout: fewer label values, or a dialect with fewer labels.",
            *percentiles(scrape),
            unit=units.Seconds,
            thresholds={1: "red"},
            width=8,
        ),
        timeseries(
            "Size of pages, P95",
            "Before compression, by dialect.",
            "It climbs for days: label values grow; see Rows, and tallygate doctor for the largest families.",
            ask("tallygate_scrape_size_bytes").quantile(0.95, "dialect"),
            unit=units.BytesIEC,
            width=8,
        ),
        bars(
            "Pages made",
            "Scrapes in the time that is shown, by dialect and format.",
            "A dialect nobody should ask for: look at the scrape configurations.",
            scrape.increase("$__range").sum("dialect", "format"),
            unit=units.Short,
        ),
        timeseries(
            "Rows",
            "Distinct label sets of all facts.",
            "A straight climb: a label takes values from callers; find it with tallygate doctor.",
            ask("tallygate_ledger_rows").now.sum("instance"),
            unit=units.Short,
            width=6,
        ),
        timeseries(
            "Room in the ledger",
            "Bytes in use of those it can have.",
            "Near 1: new label sets will count under 'other'; give it more room or fewer labels.",
            ask("tallygate_ledger_used_bytes")
            .now.sum("instance")
            .share_of(ask("tallygate_ledger_capacity_bytes").now.sum("instance")),
            unit=units.PercentUnit,
            thresholds={0.8: "red"},
            max=1,
            width=6,
        ),
        timeseries(
            "Not counted as it was",
            "Label sets that found no room, values that are no numbers, observations that were dropped, per second.",
            "Totals stay exact when a label set finds no room. For the others, the log says once what it was.",
            ("no room", ask("tallygate_ledger_overflowed_rows_total").rate().sum()),
            ("no number", ask("tallygate_ledger_dropped_values_total").rate().sum()),
            ("dropped", ask("tallygate_dropped_observations_total").rate().sum()),
            unit=PER_SECOND,
            width=6,
        ),
        timeseries(
            "Processes that have the ledger open",
            "The workers, and whatever else reads or writes it.",
            "More than the workers: one of a former start is still alive.",
            ask("tallygate_ledger_workers").now.sum("instance"),
            unit=units.Short,
            width=6,
        ),
    ),
)
