"""promtool reads the text page and finds nothing to complain about."""

import subprocess
from types import ModuleType

from tallygate.exposition.escape import labels
from tests.exposition.cells import cells

NASTY = '"quoted" \\ back\nslash \t tab \0 nul \x7f \u2028 日本語 🎉 {le="1"} # EOF'


def check(page: bytes) -> str:
    """What promtool has to say; AssertionError when it finds the page wrong."""
    done = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False, timeout=60)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode in (0, 3), said  # 3: readable, with advice
    return said


def test_text_page(renderer: ModuleType) -> None:
    tokens = renderer.Family("llm_tokens_total", "counter", f"Tokens {NASTY}", "tokens")
    time = renderer.Family(
        "call_duration_seconds", "histogram", "Time.", "seconds", exponent=-7, le=["0.1", "1"], bucket_map=[0, 1, 2]
    )
    live = renderer.Family("in_flight", "gauge", "Live.", "")
    empty = renderer.Family("errors_total", "counter", "None yet.", "")
    wait = renderer.Family("wait_seconds", "summary", "Waits.", "seconds", bucket_map=[0, 0])
    for family in (tokens, time, live, wait):
        for value in ("", NASTY, "plain"):
            family.add(family.series(labels([("model", value), ("route", value)])), 0, 0)
    page = renderer.render([tokens, time, live, empty, wait], [cells(2**63 - 1, 1, 2, 3)], "text", {})
    assert check(page) == ""
