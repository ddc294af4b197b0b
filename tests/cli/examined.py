"""What doctor finds on small pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tallygate.cli.doctor import examine
from tests.cli.looked import looking_at
from tests.scraping.servers import Asked, Reply, always, reply

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
CALLS = (
    "# HELP tallygate_llm_calls LLM calls.\n# TYPE tallygate_llm_calls counter\n"
    'tallygate_llm_calls_total{provider="p",model="m"} 3.0 # {trace_id="abc"} 1.0 1700000000.0\n'
)
GOOD = f"{CALLS}# EOF\n"
TEXT = (
    "# HELP tallygate_llm_calls_total LLM calls.\n# TYPE tallygate_llm_calls_total counter\n"
    'tallygate_llm_calls_total{provider="p",model="m"} 3\n'
)

Found = list[tuple[str, str, str]]


def examined(
    url: str, *, key: str | None = None, ca_file: Path | None = None, timeout: float = 10.0
) -> tuple[Found, int]:
    """Severity, name and words of each finding, and the exit status."""
    told, status = examine(looking_at(url, key=key, ca_file=ca_file, timeout=timeout), strict=False, as_json=True)
    document = json.loads(told)
    assert document["healthy"] is (status == 0)
    assert all(each["means"] and each["mend"] for each in document["findings"])
    return [(each["severity"], each["name"], each["found"]) for each in document["findings"]], status


def openmetrics(body: str = GOOD) -> bytes:
    return reply(body, content_type=OPENMETRICS)


def good() -> Callable[[Asked], Reply]:
    return always(GOOD, content_type=OPENMETRICS)
