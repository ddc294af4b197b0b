"""The commands that the documentation shows, run as they stand; only addresses are free ones."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import openai
import pytest

from tallygate.simulator import run_in_thread
from tests.docs.pages import ROOT, Snippet, written_in

PATIENCE = 30
SET_UP = {"scripts/demo", "scripts/test"}
"""These two install things; a clean checkout tries them."""
DEFAULT = "127.0.0.1:4000"
"""Where the gateway is unless told otherwise."""


def commands(snippet: Snippet) -> list[str]:
    return [line for line in snippet.text.splitlines() if line and not line.startswith("#")]


def of_page(page: str) -> list[Snippet]:
    return [snippet for snippet in written_in("bash") if snippet.page == page]


@contextmanager
def running(script: str, directory: Path, **environ: str) -> Iterator[subprocess.Popen[str]]:
    """A script under bash, stopped with SIGTERM in the end, which is a regular end."""
    here = str(Path(sys.executable).parent)
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    process = subprocess.Popen(
        ["bash", "-euc", re.sub(r"^(tallygate \w+)", r"exec \1", script, flags=re.MULTILINE)],
        cwd=directory,
        env={**clean, **environ, "PATH": f"{here}:{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said


def lines(stream: IO[str] | None) -> Iterator[str]:
    assert stream is not None
    yield from stream


def test_all_commands_are_known() -> None:
    """A block that is added to a page wants a test here."""
    shown = {(snippet.page, *commands(snippet)) for snippet in written_in("bash")}
    assert shown == {
        ("README.md", "scripts/demo"),
        ("README.md", "scripts/test"),
        ("README.md", "export OPENAI_API_KEY=sk-...", "tallygate serve"),
        ("README.md", f"curl http://{DEFAULT}/metrics"),
        ("docs/simulator.md", "tallygate simulate --port 4010"),
        *[("docs/accounts.md", *commands(snippet)) for snippet in of_page("docs/accounts.md")],  # see test_accounts
        *[("docs/admin-api.md", *commands(snippet)) for snippet in of_page("docs/admin-api.md")],  # see test_admin_api
        *[("docs/usage.md", *commands(snippet)) for snippet in of_page("docs/usage.md")],  # see test_usage
        *[
            ("docs/dashboards.md", *commands(snippet)) for snippet in of_page("docs/dashboards.md")
        ],  # see test_dashboards
        *[("docs/alerts.md", *commands(snippet)) for snippet in of_page("docs/alerts.md")],  # see test_alerts
        *[("docs/cache.md", *commands(snippet)) for snippet in of_page("docs/cache.md")],  # see below
        *[("docs/terminal.md", *commands(snippet)) for snippet in of_page("docs/terminal.md")],  # see test_terminal
        # These want a Docker engine or a cluster; see tests/deploy for what they start.
        *[("deploy/README.md", *commands(snippet)) for snippet in of_page("deploy/README.md")],
    }


@pytest.mark.parametrize("script", sorted(SET_UP))
def test_set_up_commands_are_there(script: str) -> None:
    assert os.access(ROOT / script, os.X_OK)
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


def test_the_scripts_that_contributors_are_told_of_are_there() -> None:
    (listed,) = [snippet for snippet in written_in("text") if snippet.page == "CONTRIBUTING.md"]
    told = {line.split()[0] for line in listed.text.splitlines()}
    scripts = [path.name for path in (ROOT / "scripts").iterdir() if path.is_file() and path.name != "environment"]
    assert told == {f"scripts/{name}" for name in scripts}
    assert all(os.access(ROOT / script, os.X_OK) for script in told)


def test_the_second_answer_is_kept(tmp_path: Path) -> None:
    (curl,) = of_page("docs/cache.md")
    with (
        run_in_thread() as provider,
        running(
            "tallygate serve",
            tmp_path,
            OPENAI_API_KEY="sk-any",
            OPENAI_BASE_URL=f"{provider.url}/v1",
            TALLYGATE_SERVER__PORT="0",
        ) as gateway,
    ):
        entries = (json.loads(line) for line in lines(gateway.stderr))
        url = next(entry["url"] for entry in entries if entry["msg"] == "gateway is listening")
        asked = ["bash", "-euc", curl.text.replace(f"http://{DEFAULT}", url)]
        for told in ("miss", "hit"):
            answer = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=PATIENCE).stdout
            assert answer.startswith("HTTP/1.1 200")
            assert f"x-tallygate-cache: {told}\n" in answer.replace("\r", "")


def test_the_front_page_from_key_to_metrics(tmp_path: Path) -> None:
    """A key in the environment, a client, curl: and the lines that the page shows are there."""
    serve, curl = (snippet for snippet in of_page("README.md") if not set(commands(snippet)) & SET_UP)
    with (
        run_in_thread() as provider,
        running(serve.text, tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1", TALLYGATE_SERVER__PORT="0") as gateway,
    ):
        url = ""
        for line in lines(gateway.stderr):
            entry = json.loads(line)
            if entry["msg"] == "gateway is listening":
                url = entry["url"]
                break
        assert url
        with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0) as client:
            client.chat.completions.create(model="gpt-4o-mini", messages=[{"role": "user", "content": "How are you?"}])
        ((asked),) = commands(curl)
        answer = subprocess.run(
            ["bash", "-euc", asked.replace(f"http://{DEFAULT}", url)],
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        page = answer.stdout.splitlines()
    (shown,) = [snippet for snippet in written_in("text") if snippet.page == "README.md"]
    for line in shown.text.splitlines():
        labels, _, value = line.rpartition(" ")
        assert float(value) > 0
        pattern = ".*".join(map(re.escape, labels.split("...")))
        assert any(re.fullmatch(pattern + r" [0-9.]*[1-9][0-9]*", sample) for sample in page), line


def test_the_simulated_provider_starts(tmp_path: Path) -> None:
    (snippet,) = of_page("docs/simulator.md")
    with running(snippet.text.replace("4010", "0"), tmp_path) as simulator:
        for line in lines(simulator.stdout):
            if found := re.match(r"what was served: (\S+)", line):
                break
        assert found
        served = subprocess.run(["curl", "-sS", found[1]], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert json.loads(served.stdout)["totals"]["requests"] == 0
