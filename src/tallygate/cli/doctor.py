"""`tallygate doctor`: what was found about a metrics page, for people or as JSON."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict

from tallygate.cli.targets import Target
from tallygate.scraping.diagnosis import Finding, PageFacts, Report, Severity, diagnose
from tallygate.scraping.plain import plain

WIDTH = 80
LISTED = 5
"""Families and labels that are shown to people; JSON has them all."""


def examine(target: Target, *, strict: bool, as_json: bool) -> tuple[str, int]:
    """What to print, and the exit status: 1 when something is broken, or with ``strict`` when there is a warning."""
    report = diagnose(target.client, target.address, target.others)
    broken = report.number(Severity.PROBLEM) + (report.number(Severity.WARNING) if strict else 0)
    status = 1 if broken else 0
    return target.hidden(_in_json(report, status) if as_json else _in_words(report, status)), status


def _in_json(report: Report, status: int) -> str:
    document = {
        "address": plain(report.address),
        "healthy": status == 0,
        "findings": [asdict(finding) for finding in report.findings],
        "page": None if report.page is None else asdict(report.page),
    }
    return json.dumps(document, indent=2) + "\n"


def _in_words(report: Report, status: int) -> str:
    parts = [plain(report.address) + "\n"]
    if report.page is not None:
        parts[0] += _page(report.page)
    order = list(Severity)
    parts += map(_finding, sorted(report.findings, key=lambda finding: order.index(finding.severity)))
    counts = [(report.number(severity), severity.value) for severity in Severity]
    told = ", ".join(f"{number} {word}{'s' if number > 1 else ''}" for number, word in counts if number)
    parts.append(f"{'healthy' if status == 0 else 'not healthy'}: {told or 'nothing was found'}\n")
    return "\n".join(parts)


def _page(page: PageFacts) -> str:
    names = {"text": "text format", "openmetrics": "OpenMetrics"}
    families = [f"{family.name} {family.series} series, {_size(family.bytes)}" for family in page.families[:LISTED]]
    labels = [f"{label.name} {label.values}" for label in page.labels[:LISTED]]
    lines = [
        ("format", names[page.format]),
        ("dialect", "+".join(page.dialects) or "none that is known"),
        ("size", f"{_size(page.bytes)}, {_size(page.sent_bytes)} sent, in {page.seconds:.3f} s"),
        ("series", f"{page.series} in {len(page.families)} families; {page.exemplars} exemplars"),
        *(("largest" if not place else "", family) for place, family in enumerate(families)),
        ("labels", "values: " + (", ".join(labels) or "none")),
    ]
    return "".join(f"  {name:<8} {told}\n" for name, told in lines)


def _finding(finding: Finding) -> str:
    head = f"{finding.severity.value}: {finding.name}"
    return f"{head}\n" + "".join(
        textwrap.fill(f"{word:<7}{text}", WIDTH, initial_indent="  ", subsequent_indent=" " * 9, break_long_words=False)
        + "\n"
        for word, text in (("found", finding.found), ("means", finding.means), ("do", finding.mend))
    )


def _size(number: int) -> str:
    return (
        f"{number} B"
        if number < 1024
        else f"{number / 1024:.1f} KiB"
        if number < 1 << 20
        else f"{number / (1 << 20):.1f} MiB"
    )
