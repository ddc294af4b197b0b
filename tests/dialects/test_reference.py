"""docs/metrics.md says what the code says."""

import re
from pathlib import Path

from tallygate.dialects import DIALECTS, Dialect
from tallygate.dialects.reference import OWN, reference
from tallygate.facts import FACTS

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_up_to_date() -> None:
    mend = "run: python -m tallygate.dialects.reference > docs/metrics.md"
    assert PAGE.read_text() == reference(), mend


def test_the_page_names_every_family_and_every_measure() -> None:
    page = reference()
    for dialect in DIALECTS.values():
        for family in dialect:
            assert f"| `{family.name}` | {family.kind} |" in page
    for fact in FACTS:
        section = page.split(f"### {fact.__name__}\n")[1].split("\n### ")[0]
        for name, help in [(item.name, item.help) for item in (*fact.dimensions, *fact.measures, fact.count)]:
            assert f"| `{name}` |" in section
            assert help in section


def test_every_family_explains_itself() -> None:
    for dialect in DIALECTS.values():
        for family in dialect:
            assert len(family.help) > 10, f"{dialect.name} {family.name}"
            assert not family.help.endswith("."), f"{dialect.name} {family.name}"


def test_the_example_of_an_own_dialect_works() -> None:
    code = re.search(r"```python\n(.*?)```", OWN, re.DOTALL)
    assert code is not None
    assert len(code[1].splitlines()) <= 25
    names: dict[str, object] = {}
    exec(code[1], names)
    house = names["HOUSE"]
    assert isinstance(house, Dialect)
    assert [family.name for family in house] == [
        "house_ai_requests_total",
        "house_ai_tokens_total",
        "house_ai_cents_total",
        "house_ai_timeouts_total",
        "house_ai_wait_ms",
        "house_ai_seconds",
        "house_ai_waiting",
    ]
