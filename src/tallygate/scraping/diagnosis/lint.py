"""The rules of `promtool check metrics`: names, units, types and help texts as Prometheus' authors ask for them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tallygate.scraping.diagnosis.findings import Finding, listed, warning
from tallygate.scraping.parsing import Format, Page
from tallygate.scraping.plain import plain

DECLARED = re.compile(r"^# (HELP|TYPE) (\S+)[ \t]*(.*)$", re.MULTILINE)
BASE_UNITS = {
    **dict.fromkeys(("ms", "milliseconds", "us", "microseconds", "nanoseconds", "minutes", "hours", "days"), "seconds"),
    **dict.fromkeys(("kilobytes", "megabytes", "gigabytes", "kb", "mb", "kib", "mib", "bits"), "bytes"),
    **dict.fromkeys(("percent", "percentage"), "ratio"),
}
"""Units, and those to use instead."""
TYPES = ("counter", "gauge", "histogram", "summary")
CAMEL = re.compile(r"[a-z][A-Z]")
MEANS = "It works; people and tools expect it otherwise."


def linted(body: bytes, page: Page) -> Iterator[Finding]:
    """What is not as it should be, one finding for each rule."""
    helps: dict[str, str] = {}
    types: dict[str, str] = {}
    for what, name, rest in DECLARED.findall(body.decode()):
        (helps if what == "HELP" else types)[name] = rest.strip()
    broken: dict[str, list[str]] = {}
    shown = {metric.name for metric in page.metrics if metric.samples}
    for metric in page.metrics:
        if metric.samples and metric.type == "unknown":
            broken.setdefault("type", []).append(plain(metric.name, 80))
    for name, type in types.items():
        if not {name, name.removesuffix("_total")} & shown:
            continue
        for rule in _rules(name, type, helps.get(name, ""), page.format):
            broken.setdefault(rule, []).append(plain(name, 80))
    for rule, (what, mend) in RULES.items():
        if rule in broken:
            names = sorted(set(broken[rule]))
            yield warning(f"lint-{rule}", f"{what}: {listed(names)}", MEANS, mend)


RULES = {
    "help": ("no help text", "Say in # HELP what is counted, and in which unit."),
    "type": ("no type", "Say in # TYPE whether it is a counter, a gauge or a histogram."),
    "total": ("counters whose names do not end in _total", "Rename them with _total at the end."),
    "not-counter": ("names that end in _total and are no counters", "Declare them as counters, or rename them."),
    "suffix": ("names that end in _count, _sum or _bucket", "These ends are for parts of histograms and summaries."),
    "unit": ("units that are no base units", "Use seconds, bytes and ratios; dashboards scale them."),
    "word": ("names with their type in them", "Leave the type out of the name."),
    "case": ("names in camelCase", "Write them in snake_case."),
    "colon": ("names with a colon", "Colons are for recording rules."),
}
"""What is wrong, and what mends it."""


def _rules(name: str, type: str, help: str, format: Format) -> Iterator[str]:
    """The rules that a family breaks. OpenMetrics leaves _total out of families' names."""
    words = name.lower().removesuffix("_total").removesuffix("_info").split("_")
    if not help:
        yield "help"
    if type == "counter" and format == "text" and not name.endswith("_total"):
        yield "total"
    if type != "counter" and name.endswith("_total"):
        yield "not-counter"
    if type in ("gauge", "counter") and name.endswith(("_count", "_sum", "_bucket")):
        yield "suffix"
    if words[-1] in BASE_UNITS:
        yield "unit"
    if set(words[1:]) & set(TYPES):
        yield "word"
    if CAMEL.search(name):
        yield "case"
    if ":" in name:
        yield "colon"
