"""What docs/terminal.md shows of `tallygate top` and `tallygate doctor` is what they print, of the traffic here."""

from __future__ import annotations

import re
import shlex
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tallygate.cli.commands import app
from tallygate.cli.doctor import examine
from tallygate.cli.once import in_lines
from tallygate.cli.screen import Shown, screen
from tallygate.cli.watching import HELP
from tallygate.facts import LLMInFlight, ProviderHealth
from tallygate.scraping import diagnosis
from tallygate.scraping.address import address
from tallygate.scraping.diagnosis.lint import RULES
from tallygate.scraping.figures import Scraped, figures
from tallygate.scraping.parsing import parse
from tallygate.tally import Tally
from tests.cli.looked import looking_at
from tests.docs.pages import ROOT, Snippet, written_in
from tests.docs.test_commands import commands, of_page
from tests.scraping.calls import Call
from tests.scraping.servers import Asked, Reply, always, reply, serving

PAGE = "docs/terminal.md"
GATEWAY = "http://127.0.0.1:4000/metrics"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

CALLS = [
    *[Call("openai", "gpt-4o", "", 700, 100, 0, 250, 3, 1.4)] * 24,
    *[Call("openai", "gpt-4o-mini", "", 400, 0, 0, 120, 1, 0.7)] * 40,
    *[Call("openai", "gpt-4o", "provider_rate_limit", 0, 0, 0, 0, 0, 0.2)] * 2,
    *[Call("anthropic", "claude-sonnet-4-5", "", 900, 600, 50, 400, 5, 4.5)] * 15,
    Call("anthropic", "claude-sonnet-4-5", "provider_timeout", 0, 0, 0, 0, 0, 30),
]
"""What happens in ten seconds, and has happened three times before."""


def pages() -> tuple[Scraped, Scraped]:
    """Two pages, ten seconds apart."""
    with closing(Tally()) as tally:
        health = tally.tables[ProviderHealth]
        health.row("openai").set(0, 1)
        health.row("anthropic").set(0, 0)
        tally.tables[LLMInFlight].row("openai", "gpt-4o", "/chat/completions", "", "true").set(0, 6)
        shown = []
        for rounds, moment in ((3, 0.0), (1, 10.0)):
            for call in CALLS * rounds:
                call.record(tally)
            for hit in (True, True, False):
                tally.cache_lookup("answers", hit=hit, route="")
            shown.append(Scraped(parse(tally.render(("tallygate",), "text"), "text"), moment, moment))
    return shown[0], shown[1]


def block(start: str) -> Snippet:
    """The block of the page that begins so."""
    (found,) = [each for each in written_in("text") if each.page == PAGE and each.text.startswith(start)]
    return found


def told_of(answer: bytes) -> str:
    """What doctor prints of a server that answers so, as if it was the local gateway."""

    def answered(asked: Asked) -> Reply:
        return answer if asked.path == "/metrics" else reply(status="404 Not Found")

    with serving(answered) as server:
        told, _ = examine(looking_at(server.url), strict=False, as_json=False)
    return re.sub(r"in \d+\.\d+ s", "in 0.012 s", told.replace(server.url, GATEWAY.removesuffix("/metrics")))


def test_the_screen() -> None:
    before, after = pages()
    drawn = screen(Shown(GATEWAY, 10.0, figures(before, after)), 80, 23).plain
    assert "".join(f"{line.rstrip()}\n" for line in drawn.split("\n")) == block("tallygate top ").text


def test_the_lines() -> None:
    before, after = pages()
    assert in_lines(figures(before, after), address(GATEWAY)) == block("#page").text


def test_a_healthy_page() -> None:
    with closing(Tally()) as tally:
        for call in CALLS:
            call.record(tally)
        page = tally.render(("tallygate",), "openmetrics")
    told = told_of(reply(page, content_type=OPENMETRICS, packed=True))
    shown = block(f"{GATEWAY}\n  format").text
    assert sizes_hidden(told) == sizes_hidden(shown)
    assert told.endswith("healthy: 1 note\n")


def sizes_hidden(told: str) -> str:
    """Without sizes, and which families are largest: they change with every family that is added."""
    told = re.sub(r"  largest  .*\n( {11}.*\n)*", "", told)
    return re.sub(r"\d+(\.\d+)? (B|KiB|MiB|series|in|families)", "N", told)


def test_a_problem() -> None:
    assert told_of(reply(status="401 Unauthorized")) == block(f"{GATEWAY}\n\nproblem").text


def test_the_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they stand; but those for a terminal print once, and where the gateway is, is told."""
    (shown,) = of_page(PAGE)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key").write_text("the-key\n")
    with closing(Tally()) as tally:
        for call in CALLS:
            call.record(tally)
        page = tally.render(("tallygate",), "text")
    with serving(always(page)) as server:
        for command in commands(shown):
            program, *words = shlex.split(command.replace("gateway.internal:4000", server.url), comments=True)
            assert program == "tallygate"
            if words[0] == "top":
                words += ["--once", "--interval", "0"]
            done = CliRunner().invoke(app, words, env={"TALLYGATE_SERVER__PORT": str(server.port)})
            assert (done.exit_code, done.stderr) == (0, ""), command
            assert f"{server.url}/metrics\n" in done.stdout
        assert [asked.headers.get("authorization") for asked in server.asked].count("Bearer the-key") == 1


def test_every_finding_and_every_key_is_told_of() -> None:
    """The names of findings, as they stand in the sources, and the keys of the help."""
    text = (ROOT / PAGE).read_text()
    (folder,) = diagnosis.__path__
    sources = "".join(path.read_text() for path in Path(folder).glob("*.py"))
    names = set(re.findall(r'\b(?:problem|warning|note)\(\s*"([a-z-]+)"', sources)) | {f"lint-{rule}" for rule in RULES}
    assert len(names) > 30
    assert sorted(name for name in names if f"`{name}`" not in text) == []
    keys = set(re.findall(r"(?:^|  )(\S)  ", HELP, re.MULTILINE))
    assert keys == set("qps+-r?")
    assert [key for key in sorted(keys) if f"| `{key}` |" not in text] == []
