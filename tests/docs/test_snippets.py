"""What the documentation shows works as it stands."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tallygate.dialects import DIALECTS
from tallygate.gateway.settings import Settings, load
from tests.docs.pages import ROOT, Snippet, snippets, written_in
from tests.gateway.certificates import Authority

HANDLED = {"python", "toml", "yaml", "bash", "text", "json", "sql"}
"""Languages of which every block is tested, here, in test_commands, or in the test of its page."""
SECRETS = {
    "TALLYGATE_KEY": "master-key",
    "OPENAI_API_KEY": "sk-of-openai",
    "EAST_API_KEY": "sk-of-the-east",
    "WEST_API_KEY": "sk-of-the-west",
    "TALLYGATE_ADMIN_KEY": "admin-0123456789abcdef0123456789abcdef",
    "GATEWAY_KEY": "master-key",
    "SCRAPE_KEY": "scraper",
}


def test_every_block_says_its_language_and_is_tested() -> None:
    assert {str(snippet): snippet.language for snippet in snippets() if snippet.language not in HANDLED} == {}


@pytest.mark.parametrize("snippet", written_in("python"), ids=str)
def test_python_runs(snippet: Snippet, tmp_path: Path, servers: Callable[[str], dict[str, str]]) -> None:
    """In a fresh interpreter, with warnings as errors, and without a word on standard error.

    A block of text right below it is what it prints, whole.
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet.text],
        cwd=tmp_path,
        env={**os.environ, **servers(snippet.text)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), snippet
    for below in written_in("text"):
        if (below.page, below.line) == (snippet.page, snippet.end + 2):
            assert done.stdout == below.text
    told = dict(re.findall(r"(input|output)_tokens=(\d+)", snippet.text))
    if told and "render()" in snippet.text:
        tokens = dict(re.findall(r'tallygate_llm_tokens_total\{.*type="(input|output)"\} (\d+)', done.stdout))
        assert tokens == told
        assert re.search(r"tallygate_llm_cost_usd_total\{.*\} 0\.0*[1-9]", done.stdout)


def placed(text: str, directory: Path) -> str:
    """A configuration with the certificates that it names, in this directory."""
    if "/etc/tallygate/" in text:
        authority = Authority(directory)
        certificate, key = authority.issue(stem="gateway")
        (directory / "metrics.pem").write_bytes(certificate.read_bytes() + key.read_bytes())
        for name in ("clients.pem", "own-providers.pem"):
            (directory / name).write_bytes(authority.file.read_bytes())
    return text.replace("/etc/tallygate", str(directory))


def read(snippet: Snippet, directory: Path) -> Settings:
    """The block as the gateway's configuration file."""
    file = directory / f"gateway.{snippet.language}"
    file.write_text(placed(snippet.text, directory))
    return load({}, file, {name: value for name, value in SECRETS.items() if name in snippet.text})


@pytest.mark.parametrize("snippet", written_in("toml"), ids=str)
def test_toml_is_a_configuration(snippet: Snippet, tmp_path: Path) -> None:
    settings = read(snippet, tmp_path)
    assert settings.providers
    if "${TALLYGATE_KEY}" in snippet.text or "${GATEWAY_KEY" in snippet.text:
        key = settings.server.master_key
        assert key is not None
        assert key.get_secret_value() == "master-key"


@pytest.mark.parametrize("snippet", written_in("toml"), ids=str)
def test_the_gateway_prints_what_is_in_force_and_no_secret(snippet: Snippet, tmp_path: Path) -> None:
    """As the pages say: ``tallygate config --config gateway.toml``."""
    (tmp_path / "gateway.toml").write_text(placed(snippet.text, tmp_path))
    command = [sys.executable, "-m", "tallygate.cli", "config", "--config", "gateway.toml"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **SECRETS}, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    for model in re.findall(r'models = \["([^"]+)"', snippet.text):
        assert model in done.stdout
    for secret in SECRETS.values():
        assert secret not in done.stdout


@pytest.mark.parametrize("snippet", written_in("yaml"), ids=str)
def test_prometheus_takes_its_configuration(snippet: Snippet, tmp_path: Path) -> None:
    """Or Alertmanager, its own."""
    if snippet.text.startswith("route:"):
        config = tmp_path / "alertmanager.yml"
        config.write_text(snippet.text)
        done = subprocess.run(
            ["amtool", "check-config", str(config)], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return
    token = tmp_path / "token"
    token.write_text("secret\n")
    config = tmp_path / "prometheus.yml"
    config.write_text(re.sub(r"(credentials_file: ).*", rf"\g<1>{token}", snippet.text))
    done = subprocess.run(
        ["promtool", "check", "config", str(config)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def shape(value: object) -> object:
    """Names and types of a JSON value."""
    match value:
        case dict():
            return {name: shape(one) for name, one in value.items()}
        case list():
            return [shape(one) for one in value]
        case _:
            return type(value)


@pytest.mark.parametrize("snippet", [one for one in written_in("json") if one.page == "docs/simulator.md"], ids=str)
def test_json_is_what_the_simulator_says(snippet: Snippet) -> None:
    """To the very numbers: they are those of one call."""
    shown = json.loads(snippet.text)
    (call,) = shown["calls"]
    code = f"""
import asyncio, json, openai
from tallygate.simulator import Simulator

async def main():
    async with Simulator() as provider, openai.AsyncOpenAI(base_url=provider.url + "/v1", api_key="any") as client:
        stream = await client.chat.completions.create(
            model={call["model"]!r},
            messages=[{{"role": "user", "content": "x" * {4 * call["input_tokens"]}}}],
            max_tokens={call["output_tokens"]},
            stream=True,
            stream_options={{"include_usage": True}},
        )
        async for _ in stream:
            pass
        print(json.dumps(provider.served()))

asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    served = json.loads(done.stdout)
    assert served["calls"] == [call]
    assert shown["totals"].pop("...") == 0
    assert shown["totals"].items() <= served["totals"].items()
    assert served["in_progress"] == shown["in_progress"]


def dialect_rows() -> list[tuple[str, str]]:
    """Dialect and example of each row of the front page's table."""
    rows = re.findall(r"^\| `(\w+)`.*\| `(\w+)` \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == len(DIALECTS)
    return rows


@pytest.mark.parametrize(("dialect", "family"), dialect_rows())
def test_the_table_of_dialects_is_right(dialect: str, family: str) -> None:
    assert family in {each.name for each in DIALECTS[dialect].families}
