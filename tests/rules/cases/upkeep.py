"""Cases of the metrics' own upkeep."""

from tests.rules.case import Case
from tests.rules.series import Dialect, Series, together

ours = Dialect("tallygate")

JOB = {"job": "tallygate"}
PAGE = {"dialect": "tallygate", "format": "openmetrics"}
SECONDS, SIZE = "tallygate_scrape_duration_seconds", "tallygate_scrape_size_bytes"


def ledger(used: float, capacity: float) -> Series:
    return together(
        ours("tallygate_ledger_used_bytes", f"{used:.0f}x40"),
        ours("tallygate_ledger_capacity_bytes", f"{capacity:.0f}x40"),
    )


def dropped(values: str) -> Series:
    return ours("tallygate_dropped_observations_total", values, fact="LLMCall", reason="no_space")


CASES = (
    Case(
        "TallygateAbsent",
        ours("tallygate_workers", "4x10 _x30"),
        {},
        "No gateway is scraped",
        "Prometheus has no metrics of Tallygate: it does not run, or cannot be scraped. No other alert can fire.",
        {"for three minutes": ours("tallygate_workers", "4x22 _x9"), "one of two": ours("tallygate_workers", "4x40")},
        severity="critical",
    ),
    Case(
        "TallygateCardinalityOverflow",
        ours("tallygate_ledger_overflowed_rows_total", "0x20 7x20"),
        JOB,
        "Label sets find no room",
        "7 label sets in the last hour found no room and count under other.",
        {"long ago": ours("tallygate_ledger_overflowed_rows_total", "7x40")},
    ),
    Case(
        "TallygateScrapeSlow",
        ours.histogram(SECONDS, {0.01: 8, 3: 2}, 60, **PAGE),
        {**JOB, "dialect": "tallygate"},
        "Making the metrics page tallygate takes long",
        "One page of tallygate in twenty takes 4s or more.",
        {"one in fifty": ours.histogram(SECONDS, {0.01: 98, 3: 2}, 60, **PAGE)},
        at="40m",
    ),
    Case(
        "TallygateScrapeLarge",
        ours.histogram(SIZE, {12 * 2**20: 4}, 60, **PAGE),
        {**JOB, "dialect": "tallygate"},
        "The metrics page tallygate is large",
        "A page of tallygate has 12MiB before compression.",
        {"8 MiB": ours.histogram(SIZE, {8 * 2**20: 4}, 60, **PAGE)},
        at="40m",
    ),
    Case(
        "TallygateObservationsDropped",
        dropped("0x20 5x20"),
        {**JOB, "fact": "LLMCall", "reason": "no_space"},
        "Observations of LLMCall are not recorded",
        "5 observations of LLMCall were dropped in 15 minutes: no_space.",
        {"long ago": dropped("5x40")},
    ),
    Case(
        "TallygateValuesDropped",
        ours("tallygate_ledger_dropped_values_total", "0x20 5x20"),
        JOB,
        "Values that cannot be counted are left out",
        "5 values in 15 minutes were not a number, infinite, or out of range.",
        {"long ago": ours("tallygate_ledger_dropped_values_total", "5x40")},
    ),
    Case(
        "TallygateLedgerNearlyFull",
        ledger(0.92e9, 1e9),
        {**JOB, "instance": "gateway:4000"},
        "The ledger of gateway:4000 is nearly full",
        "92% of the ledger's memory on gateway:4000 is in use; when it is full, new label sets count under other.",
        {"89 %": ledger(0.89e9, 1e9)},
    ),
)
