"""The metrics' own upkeep: whether they are there, whole, bounded and cheap."""

from __future__ import annotations

from tallygate.rules.given import Given
from tallygate.rules.model import Alert, Group


def groups(given: Given) -> tuple[Group, ...]:
    """One."""
    quarter = given.span("15m")
    used, capacity = given("tallygate_ledger_used_bytes"), given("tallygate_ledger_capacity_bytes")
    dropped, values = given("tallygate_dropped_observations_total"), given("tallygate_ledger_dropped_values_total")
    page = ("job", "dialect")
    return (
        Group(
            "tallygate-upkeep",
            (
                Alert(
                    "TallygateAbsent",
                    given("tallygate_workers").now.absent(),
                    "critical",
                    "No gateway is scraped",
                    "Prometheus has no metrics of Tallygate: it does not run, or cannot be scraped. No other alert"
                    " can fire.",
                    wait="5m",
                ),
                Alert(
                    "TallygateCardinalityOverflow",
                    given("tallygate_ledger_overflowed_rows_total").increase(given.span("1h")).sum("job").above(0),
                    "warning",
                    "Label sets find no room",
                    "{{ $value | humanize }} label sets in the last hour found no room and count under other.",
                    keep="15m",
                ),
                Alert(
                    "TallygateScrapeSlow",
                    given("tallygate_scrape_duration_seconds").quantile(0.95, *page, window=quarter).above(1),
                    "warning",
                    "Making the metrics page {{ $labels.dialect }} takes long",
                    "One page of {{ $labels.dialect }} in twenty takes {{ $value | humanizeDuration }} or more.",
                    wait="15m",
                    keep="15m",
                ),
                Alert(
                    "TallygateScrapeLarge",
                    given("tallygate_scrape_size_bytes").mean(*page, window=quarter).above(10_000_000),
                    "warning",
                    "The metrics page {{ $labels.dialect }} is large",
                    "A page of {{ $labels.dialect }} has {{ $value | humanize1024 }}B before compression.",
                    wait="15m",
                    keep="15m",
                ),
                Alert(
                    "TallygateObservationsDropped",
                    dropped.increase(quarter).sum("job", "fact", "reason").above(0),
                    "warning",
                    "Observations of {{ $labels.fact }} are not recorded",
                    "{{ $value | humanize }} observations of {{ $labels.fact }} were dropped in 15 minutes:"
                    " {{ $labels.reason }}.",
                    keep="15m",
                ),
                Alert(
                    "TallygateValuesDropped",
                    values.increase(quarter).sum("job").above(0),
                    "warning",
                    "Values that cannot be counted are left out",
                    "{{ $value | humanize }} values in 15 minutes were not a number, infinite, or out of range.",
                    keep="15m",
                ),
                Alert(
                    "TallygateLedgerNearlyFull",
                    (used.now / capacity.now).max("job", "instance").above(0.9),
                    "warning",
                    "The ledger of {{ $labels.instance }} is nearly full",
                    "{{ $value | humanizePercentage }} of the ledger's memory on {{ $labels.instance }} is in use; when"
                    " it is full, new label sets count under other.",
                    wait="5m",
                ),
            ),
        ),
    )
