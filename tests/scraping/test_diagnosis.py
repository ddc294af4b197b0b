"""Whatever a server sends, a diagnosis comes of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from tallygate.scraping.address import Address, address
from tallygate.scraping.diagnosis import diagnose
from tallygate.scraping.fetching import Answer, Client
from tallygate.scraping.figures import Scraped, figures
from tallygate.scraping.parsing import PageError, parse

names = st.sampled_from(
    ["tallygate_llm_calls_total", "h", "h_bucket", "h_count", "h_sum", "process_start_time_seconds"]
)
values = st.sampled_from(["0", "1", "2.5", "NaN", "+Inf", "-Inf", "-1", "1e400", "1_0", ""])
label_sets = st.dictionaries(
    st.sampled_from(["le", "quantile", "model", "x"]), st.text(max_size=4) | values, max_size=3
)


def sample(name: str, labels: Mapping[str, str], value: str, rest: str) -> str:
    quoted = {
        label: text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") for label, text in labels.items()
    }
    return name + "{" + ",".join(f'{label}="{text}"' for label, text in quoted.items()) + "} " + value + rest


types = st.builds(
    lambda name, type: f"# TYPE {name} {type}",
    st.sampled_from(["tallygate_llm_calls", "tallygate_llm_calls_total", "h", "process_start_time_seconds"]),
    st.sampled_from(["counter", "gauge", "histogram", "summary", "unknown", "info", "stateset", "nonsense"]),
)
samples = st.builds(sample, names, label_sets, values, st.sampled_from(["", " 1", ' # {trace_id="a"} 1 9e99']))
pages = st.lists(types | samples | st.just("# HELP h H") | st.just("# EOF"), max_size=8).map("\n".join)
bodies = st.binary(max_size=60) | pages.map(lambda page: f"{page}\n# EOF\n".encode()) | pages.map(str.encode)


@dataclass(frozen=True)
class Scripted(Client):
    """Answers without a network."""

    answers: list[Answer] = field(default_factory=list)

    def get(self, address: Address) -> Answer:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


answers = st.builds(
    Answer,
    address=st.just(address("gateway")),
    status=st.sampled_from([200, 200, 200, 200, 301, 307, 401, 404, 500]),
    headers=st.fixed_dictionaries(
        {
            "content-type": st.sampled_from(["text/plain", "application/openmetrics-text", "text/html", "", "\x1b"]),
            "date": st.text(max_size=30)
            | st.sampled_from(["Mon, 01 Jan 0001 00:00:00 +9999", "Sun, 06 Nov 1994 08:49:37 GMT"]),
        },
        optional={"location": st.text(max_size=10) | st.sampled_from(["/x", "http://[", "//gateway/y", "http://x:y/"])},
    ),
    body=bodies,
    sent_bytes=st.integers(0, 10**6),
    seconds=st.floats(0, 100),
    time=st.just(1_700_000_000.0),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(answers, min_size=1, max_size=3))
def test_a_diagnosis_comes_of_anything(given: list[Answer]) -> None:
    report = diagnose(Scripted(answers=given), address("gateway"))
    assert report.findings or report.page is not None
    told = json.dumps([asdict(finding) for finding in report.findings], ensure_ascii=False)
    assert told.isprintable()


@settings(max_examples=60, deadline=None)
@given(st.lists(bodies, min_size=2, max_size=2), st.sampled_from(["text", "openmetrics"]))
def test_figures_come_of_any_page(given: list[bytes], format: str) -> None:
    with suppress(PageError):
        first, second = (Scraped(parse(body, format), 10.0, 10.0) for body in given)  # type: ignore[arg-type]  # a Format
        figures(None, first)
        figures(first, second)
