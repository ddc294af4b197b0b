"""The commands of docs/accounts.md, in their order, beside the gateway that the page starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tallygate.simulator import run_in_thread
from tests.docs.pages import ROOT
from tests.docs.test_commands import DEFAULT, lines, of_page, running

PATIENCE = 60


def shell(script: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run a script to its end, as from a terminal."""
    here = str(Path(sys.executable).parent)
    clean = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env={**clean, "PATH": f"{here}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_from_the_first_key_to_a_call_and_further(tmp_path: Path) -> None:
    serve, first, further = of_page("docs/accounts.md")
    with (
        run_in_thread() as provider,
        running(serve.text, tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1", TALLYGATE_SERVER__PORT="0") as gateway,
    ):
        for line in lines(gateway.stderr):
            entry = json.loads(line)
            if entry["msg"] == "gateway is listening":
                break
        done = shell(first.text.replace(f"http://{DEFAULT}", entry["url"]), tmp_path)
        assert done.returncode == 0, done.stderr
        assert '"object":"chat.completion"' in done.stdout
        (call,) = provider.served()["calls"]
        assert call["model"] == "gpt-4o-mini"
        done = shell(further.text, tmp_path)
        assert done.returncode == 0, done.stderr
    names = [line.split()[2] for line in done.stdout.splitlines() if line.startswith("key_")]
    assert names == ["laptop", "nightly"]
    ada, search = json.loads(done.stdout[done.stdout.index("[\n") :])
    assert (ada["name"], ada["models"], ada["granted"]) == ("ada", ["gpt-4o", "gpt-4o-mini"], "25.00")
    assert ada["limits"] == {
        "requests_per_minute": 60,
        "tokens_per_minute": None,
        "concurrency": None,
        "daily_budget": None,
        "monthly_budget": None,
    }
    assert (search["name"], search["kind"], search["status"], search["plan"]) == ("search", "team", "inactive", "trial")


def test_the_words_of_refusals_are_those_of_the_gateway() -> None:
    from tallygate.gateway.accounts.callers import Use
    from tallygate.gateway.accounts.directory import MESSAGES

    page = (ROOT / "docs/accounts.md").read_text()
    told = re.findall(r"^\| (\d{3}) (.*?) \| ", page, re.MULTILINE)
    written = {(int(status), message) for status, cell in told for message in re.findall(r"`([^`]+)`", cell)}
    assert {(status, message) for status, _, message in MESSAGES.values()} == {
        one for one in written if "may not ask" not in one[1]
    }
    (uses,) = re.findall(r"^\| `tallygate_api_key_uses_total` \| (.*) \|$", page, re.MULTILINE)
    assert re.findall(r"`(\w+)`", uses) == [use.value for use in Use]
