"""What is wrong with a metrics page, as Prometheus would meet it: what was found, what it means, what to do."""

from __future__ import annotations

from collections.abc import Sequence

from tallygate.scraping.address import Address
from tallygate.scraping.diagnosis.findings import Finding, PageFacts, Report, Severity, problem
from tallygate.scraping.diagnosis.judging import Visit, compared, facts_of, judged
from tallygate.scraping.diagnosis.lint import linted
from tallygate.scraping.diagnosis.reaching import REDIRECTS, not_metrics, redirected, refused, unreached
from tallygate.scraping.fetching import Answer, Client, FetchError
from tallygate.scraping.parsing import PageError, format_of, parse
from tallygate.scraping.plain import plain
from tallygate.scraping.reading import spoken

__all__ = ["Finding", "PageFacts", "Report", "Severity", "diagnose"]

HOPS = 5
"""Redirects that are followed."""


def diagnose(client: Client, address: Address, paths: Sequence[str] = ()) -> Report:
    """Ask for a page as Prometheus does, twice, and say what is found. Never raises for what a server does.

    paths: where the metrics may be when they are not there.
    """
    report = Report(str(address))
    visit = _visit(client, address, report, paths)
    if visit is None:
        return report
    dialects = tuple(dialect.name for dialect in spoken(visit.page.samples))
    report.page = facts_of(visit, dialects)
    report.add(judged(visit, report.page))
    report.add(linted(visit.answer.body, visit.page))
    again = Report(str(address))
    second = _visit(client, visit.answer.address, again, paths)
    if second is None:
        report.add(again.findings)
    else:
        report.add(compared(visit, second))
    return report


def _visit(client: Client, address: Address, report: Report, paths: Sequence[str]) -> Visit | None:
    """A page, if there is one; what stands in the way is reported."""
    answer = _answer(client, address, report)
    if answer is None:
        return None
    if answer.status != 200:
        report.add([refused(answer, client, paths)])
        return None
    format = format_of(answer.content_type)
    if format is None:
        report.add(not_metrics(answer))
        if report.findings[-1].name == "not-metrics":
            return None
    try:
        return Visit(answer, parse(answer.body, format or "text"))
    except PageError as failure:
        report.add(
            [
                problem(
                    "unreadable",
                    plain(str(failure)),
                    "Prometheus drops a page that it cannot read, all of it.",
                    "Mend what writes this line; `promtool check metrics` reads the text format too.",
                )
            ]
        )
        return None


def _answer(client: Client, address: Address, report: Report) -> Answer | None:
    """The answer at the end of redirects within one server."""
    for _ in range(HOPS):
        try:
            answer = client.get(address)
        except FetchError as failure:
            report.add([unreached(failure, address)])
            return None
        if answer.status not in REDIRECTS:
            return answer
        finding, target = redirected(answer)
        report.add([finding])
        if target is None:
            return None
        address = target
    means, mend = "Prometheus gives up after ten.", "Scrape the last address itself."
    report.add([problem("redirect-loop", f"{HOPS} redirects, and no page", means, mend)])
    return None
