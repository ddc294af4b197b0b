"""Relative links lead somewhere, and to a heading that is there."""

import re
from pathlib import Path

import pytest

from tallygate import instrument
from tests.docs.pages import FENCE, ROOT, pages

LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    text = FENCE.sub("", page.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in HEADING.findall(text)}


def links() -> list[tuple[str, str]]:
    """Page and target of every relative link."""
    return [
        (page, match["target"])
        for page in pages()
        for match in LINK.finditer(FENCE.sub("", (ROOT / page).read_text()))
        if "://" not in match["target"] and not match["target"].startswith("mailto:")
    ]


@pytest.mark.parametrize(("page", "target"), links())
def test_link(page: str, target: str) -> None:
    path, _, anchor = target.partition("#")
    there = (ROOT / page).parent / path if path else ROOT / page
    assert there.exists(), f"{page} links to {target}"
    if anchor:
        assert anchor in anchors(there), f"{page} links to {target}"


def test_the_front_page_leads_to_all_documentation() -> None:
    """By way of the map of the documentation, which has every page but those that the page of alerts has."""
    linked = {(page, target.partition("#")[0]) for page, target in links()}
    assert ("README.md", "docs/README.md") in linked
    mapped = {f"docs/{target}" for page, target in linked if page in ("docs/README.md", "docs/alerts.md")}
    assert {page for page in pages() if page.startswith("docs/")} - {"docs/README.md"} <= mapped


def test_every_instrumentation_is_told_of() -> None:
    told = "".join(path.read_text() for path in (ROOT / "docs/instrument").glob("*.md"))
    functions = [name for name in instrument.__all__ if name.islower()]
    assert [name for name in functions if f"instrument.{name}(" not in told] == []
