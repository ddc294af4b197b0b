"""Lint, beside `promtool check metrics`."""

import re
import subprocess
from contextlib import closing

import pytest

from tallygate.dialects import DIALECTS
from tallygate.scraping.diagnosis.lint import linted
from tallygate.scraping.parsing import parse
from tallygate.tally import Tally
from tests.prometheus.known import happen


@pytest.fixture(scope="module")
def pages() -> dict[str, bytes]:
    """A page of every dialect, with samples in most families."""
    with closing(Tally()) as tally:
        happen(tally)
        return {dialect: tally.render((dialect,), "text") for dialect in DIALECTS}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_names_what_promtool_names(dialect: str, pages: dict[str, bytes]) -> None:
    done = subprocess.run(["promtool", "check", "metrics"], input=pages[dialect], capture_output=True, check=False)
    named = {line.split()[0] for line in done.stderr.decode().splitlines()}
    ours = " ".join(
        finding.found.partition(": ")[2] for finding in linted(pages[dialect], parse(pages[dialect], "text"))
    )
    assert set(re.findall(r"\w+", ours)) == named
