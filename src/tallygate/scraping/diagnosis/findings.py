"""What is found about a page: what was seen, what it means, what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How bad it is."""

    PROBLEM = "problem"
    """Prometheus gets no page, or wrong numbers."""
    WARNING = "warning"
    """It works, and will cost or mislead somebody."""
    NOTE = "note"
    """Worth to know."""


@dataclass(frozen=True)
class Finding:
    """One thing that was found. ``name`` stays the same from version to version."""

    severity: Severity
    name: str
    found: str
    means: str
    mend: str


@dataclass(frozen=True)
class FamilySize:
    """How large a family is on the page: buckets are series too."""

    name: str
    series: int
    bytes: int


@dataclass(frozen=True)
class LabelSize:
    """How many different values a label has, over all families."""

    name: str
    values: int


@dataclass(frozen=True)
class PageFacts:
    """What the page is like."""

    format: str
    bytes: int
    sent_bytes: int
    seconds: float
    series: int
    families: Sequence[FamilySize]
    """All, those with most series first."""
    labels: Sequence[LabelSize]
    """All, those with most values first."""
    dialects: Sequence[str]
    exemplars: int


@dataclass
class Report:
    """All that was found."""

    address: str
    findings: list[Finding] = field(default_factory=list)
    page: PageFacts | None = None
    """None when there was none."""

    def add(self, findings: Iterable[Finding]) -> None:
        self.findings.extend(findings)

    def number(self, severity: Severity) -> int:
        """How many findings are this bad."""
        return sum(finding.severity is severity for finding in self.findings)


def problem(name: str, found: str, means: str, mend: str) -> Finding:
    """Something that breaks."""
    return Finding(Severity.PROBLEM, name, found, means, mend)


def warning(name: str, found: str, means: str, mend: str) -> Finding:
    """Something that costs or misleads."""
    return Finding(Severity.WARNING, name, found, means, mend)


def note(name: str, found: str, means: str, mend: str) -> Finding:
    """Something to know."""
    return Finding(Severity.NOTE, name, found, means, mend)


def listed(names: Sequence[str], most: int = 5) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
