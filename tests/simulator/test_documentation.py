"""The documentation lists every behaviour, in the words of the code."""

from pathlib import Path

from tallygate.simulator import BEHAVIOURS

PAGE = Path(__file__).parents[2] / "docs" / "simulator.md"


def test_every_behaviour_is_documented() -> None:
    table = PAGE.read_text().partition("| behaviour | what happens |\n| --- | --- |\n")[2].partition("\n\n")[0]
    assert table.split("\n") == [f"| `{name}` | {summary} |" for name, summary in BEHAVIOURS.items()]
