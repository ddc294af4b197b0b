"""docs/alerts.md and the pages of the alerts: the commands run, the tables are right, nothing is missing or wrong."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from tallygate.dialects import DIALECTS
from tallygate.promql import SCRAPED, label_names
from tallygate.rules import RULES, Alert, Recording, groups_of
from tallygate.rules.reference import EVERY, reference
from tests.docs.pages import FENCE, ROOT
from tests.docs.test_accounts import shell
from tests.docs.test_commands import of_page
from tests.prometheus.asking import samples

PAGE = ROOT / "docs/alerts.md"
RUNBOOKS = ROOT / "docs/runbooks"
SECTIONS = ["What it means", "First three things to look at", "How to silence it"]

ALERTS: Mapping[str, tuple[str, Alert]] = {
    alert.name: (dialect, alert) for dialect in RULES for group in groups_of(dialect, EVERY) for alert in group.alerts
}
"""All that there are, with their dialects."""
RECORDED = {rule.name for group in groups_of("tallygate", EVERY) for rule in group.rules if isinstance(rule, Recording)}
QUERY = re.compile(r"(sum|topk|count|rate|histogram_quantile)\b.*[({]")
NOT_NAMES = re.compile(
    r"\{[^}]*\}|\[[^\]]*\]|\b(by|ignoring) \([^)]*\)|\boffset \w+|\b(sum|count|topk|rate|increase|histogram_quantile)\b"
)


def sections(name: str) -> dict[str, str]:
    """The page of an alert, by its headings; '' is what comes before them."""
    title, *parts = re.split(r"^## (.+)\n", (RUNBOOKS / f"{name}.md").read_text(), flags=re.MULTILINE)
    return {"": title.strip(), **{head: body.strip() for head, body in zip(parts[::2], parts[1::2], strict=True)}}


def spans(text: str) -> list[str]:
    """What stands in backticks."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def queries() -> Iterator[tuple[str, str, str]]:
    """Alert, dialect and text of every query on the pages."""
    for name, (dialect, _) in ALERTS.items():
        known = samples(dialect) | RECORDED
        for span in spans("".join(sections(name).values())):
            if QUERY.match(span) or re.split(r"[^\w:]", span)[0] in known:
                yield name, dialect, span


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    assert {path.stem for path in RUNBOOKS.iterdir()} == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_a_page_says_three_things(name: str) -> None:
    found = sections(name)
    assert list(found) == ["", *SECTIONS]
    assert found[""] == f"# {name}"
    assert found["What it means"].endswith(".")
    assert re.findall(r"^(\d)\. \S", found["First three things to look at"], re.MULTILINE) == ["1", "2", "3"]
    silence, *more = spans(found["How to silence it"])
    matchers = re.fullmatch(
        r'amtool silence add alertname=(\w+)((?: \w+=\S+)*) --duration=2h --comment="[^"]+"', silence
    )
    assert matchers, silence
    _, alert = ALERTS[name]
    assert matchers[1] == name
    assert {each.partition("=")[0] for each in matchers[2].split()} <= alert.query.labels
    assert not any(each.startswith("amtool") for each in more)


def test_queries_name_what_there_is() -> None:
    seen = 0
    for name, dialect, query in queries():
        families = {
            sample: label_names(family)
            for family in DIALECTS[dialect]
            for sample in (family.name, *(family.name + ending for ending in ("_bucket", "_sum", "_count")))
        }
        named = set(re.findall(r"[a-z_:][\w:]*", NOT_NAMES.sub(" ", query)))
        assert named <= samples(dialect) | RECORDED, f"{name}: {query}"
        labels = {*SCRAPED, "le", "__name__", *(label for each in named for label in families.get(each, ()))}
        grouped = re.findall(r"\b(?:by|ignoring|on) \(([^)]*)\)", query)
        matched = re.findall(r"(\w+)(?:=~|!=|!~|=)\"", query)
        asked = {label.strip() for group in grouped for label in group.split(",")} | set(matched)
        assert asked <= labels, f"{name}: {query}"
        seen += 1
    assert seen > 120


def test_queries_are_promql(tmp_path: Path) -> None:
    rules = [{"record": f"asked:{number}", "expr": query} for number, (*_, query) in enumerate(queries())]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_tables_are_those_of_the_rules() -> None:
    """They are made by ``python -m tallygate.rules.reference``."""
    assert PAGE.read_text().endswith(f"\n\n{reference()}")


def test_every_recorded_series_is_told_of() -> None:
    told = set(spans(FENCE.sub("", PAGE.read_text())))
    windows = {"5m", "30m", "1h", "2h", "6h", "1d", "3d"}
    for name in RECORDED:
        base, _, operation = name.rpartition(":")
        assert (name in told) or (f"{base}:ratio_rate1h" in told and operation.removeprefix("ratio_rate") in windows)
    assert windows <= told


def test_the_commands_write_what_they_say(tmp_path: Path) -> None:
    ours, all_, promised = of_page("docs/alerts.md")
    assert shell(ours.text, tmp_path).stdout == "rules/tallygate.rules.yml\n"
    before = (tmp_path / "rules/tallygate.rules.yml").read_text()
    done = shell(all_.text, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(f"rules/{dialect}.rules.yml\n" for dialect in RULES)
    assert (tmp_path / "rules/tallygate.rules.yml").read_text() == before
    assert shell(promised.text, tmp_path).returncode == 0
    after = (tmp_path / "rules/tallygate.rules.yml").read_text()
    for changed in ("objective of 99.9 %", "longer than 60 s", "no token within 5 s", "daily budget of $200"):
        assert changed in " ".join(after.split())
        assert changed not in " ".join(before.split())
    checked = ["promtool", "check", "rules", *map(str, sorted((tmp_path / "rules").iterdir()))]
    assert subprocess.run(checked, capture_output=True, check=False, timeout=60).returncode == 0


def test_what_gatewayz_thresholds_became_is_told_of_all() -> None:
    """Those that its document has and our rules do not are on the page, and no others."""
    text = PAGE.read_text()
    left_out = text[text.index("These cannot be told") : text.index("## All alerts")]
    told = set(
        re.findall(
            r"\b[A-Z][A-Za-z0-9]+(?:Rate|Failure|TTFB|Duration|High|Degrading|Processing|Dominating)\b", left_out
        )
    )
    assert {name for name in told if not name.startswith("Tallygate")} == {
        "HighDatabaseErrorRate",
        "CacheConnectionFailure",
        "HighBackendTTFB",
        "CriticalBackendTTFB",
        "SlowProviderTTFB",
        "SlowModelTTFB",
        "BackendTTFBDegrading",
        "HighStreamingDuration",
        "CriticalStreamingDuration",
        "StreamingTimeHigh",
        "StreamingDurationDegrading",
        "HighFrontendProcessing",
        "BackendResponseDominating",
    }
    assert not told & set(ALERTS) - {name for name in ALERTS if name.startswith("Tallygate")}
