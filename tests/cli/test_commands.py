"""The commands: what they print where, and their exit statuses."""

import json
import signal
import socket
import subprocess
import sys
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.cli.running import environment, line_with, started, tallygate

NO_PROVIDER = (
    "providers: no provider is configured; set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or another "
    "provider's key in the environment, or name a file with --config that has a [providers.NAME] section; "
    "`tallygate demo` needs neither\n"
)
WRONG = '[server]\nport = 70000\n[providers.p]\nbase_url = "x"\napi_key = "hunter2"\n'


@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("serve", "--help"),
        ("config", "--help"),
        ("demo", "--help"),
        ("top", "--help"),
        ("doctor", "--help"),
    ],
)
def test_help(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = tallygate(tmp_path, *arguments)
    assert (ended.status, ended.err) == (0, "")
    assert "Usage: " in ended.out


def test_help_needs_none_of_the_heavy_modules() -> None:
    program = (
        "import sys; from tallygate.cli.commands import app; "
        "print([name for name in ('pydantic', 'structlog', 'uvicorn', 'msgspec', 'asyncio', 'genai_prices', 'rich')"
        " if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment({}), capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


def test_version(tmp_path: Path) -> None:
    assert tallygate(tmp_path, "--version").out == "tallygate 0.1.0\n"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("serve", "--wings"),
        ("config", "--format", "xml"),
        ("simulate", "--port", "70000"),
        ("simulate", "--ttft", "soon"),
        ("demo", "--for", "0"),
    ],
)
def test_wrong_usage_ends_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = tallygate(tmp_path, *arguments)
    assert ended.status == 2
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", ["serve", "config"])
def test_without_a_provider(tmp_path: Path, command: str) -> None:
    ended = tallygate(tmp_path, command)
    assert (ended.status, ended.out, ended.err) == (2, "", NO_PROVIDER)


@pytest.mark.parametrize("command", ["serve", "config"])
def test_a_wrong_configuration_is_one_line_per_problem(tmp_path: Path, command: str) -> None:
    (tmp_path / "gateway.toml").write_text(WRONG)
    ended = tallygate(tmp_path, command, "--config", "gateway.toml")
    assert (ended.status, ended.out) == (2, "")
    assert ended.err.splitlines() == [
        "server.port in gateway.toml: 70000: must be at most 65535; ports are 1 to 65535, and 0 for any free one",
        'providers.p.base_url in gateway.toml: "x": is no http or https URL; write it as in https://api.example.com/v1',
    ]


def test_wrong_flags_are_named(tmp_path: Path) -> None:
    ended = tallygate(
        tmp_path, "serve", "--port", "x", "--workers", "0", "--master-key-file", "none", OPENAI_API_KEY="k"
    )
    assert ended.status == 2
    assert ended.err.splitlines() == [
        "--master-key-file: none: cannot be read: No such file or directory; name a file that holds the key",
        '--port: "x": is no whole number; write one, such as 4000',
        '--workers: "0": must be at least 1; the default is 1',
    ]


def test_config_prints_what_is_in_force(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("TALLYGATE_MASTER_KEY=the-master-key\nPORT=5001\n")
    (tmp_path / "gateway.toml").write_text('service = "a\\"b\\u007f"\n[prices."local/m.1"]\ninput = 0.5\n')
    variables = {"OPENAI_API_KEY": "sk-secret", "TALLYGATE_CONFIG": "gateway.toml"}
    toml = tallygate(tmp_path, "config", **variables)
    assert (toml.status, toml.err) == (0, "")
    shown = tomllib.loads(toml.out)
    assert shown["service"] == 'a"b\x7f'
    assert shown["server"] == {
        "host": "127.0.0.1",
        "port": 5001,
        "workers": 1,
        "grace_seconds": 30.0,
        "master_key": "********",
    }
    assert shown["providers"]["openai"]["api_key"] == "********"
    assert shown["prices"]["local/m.1"] == {"input": "0.5", "output": "0"}
    assert json.loads(tallygate(tmp_path, "config", "--format", "json", **variables).out) == shown
    assert yaml.safe_load(tallygate(tmp_path, "config", "--format", "yaml", **variables).out) == shown
    assert "secret" not in toml.out.replace('secret = "********"', "")


def test_what_config_prints_can_be_read_again(tmp_path: Path) -> None:
    first = tallygate(tmp_path, "config", OPENAI_API_KEY="k", TALLYGATE_PROVIDERS__OPENAI__MODELS="a,b")
    (tmp_path / "again.toml").write_text(first.out)
    again = tallygate(tmp_path, "config", "--config", "again.toml")
    assert (again.status, again.err, again.out) == (0, "", first.out)


def test_serve_and_simulate_run_and_end_by_signals(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("the-master-key\n")
    with started(tmp_path, "simulate", "--port", "0") as provider:
        url = line_with(provider.stdout, "OpenAI").split()[1]
        arguments = ("serve", "--port", "0", "--master-key-file", "key", "--metrics-endpoint", "/m", "--grace", "1")
        with started(tmp_path, *arguments, OPENAI_BASE_URL=url, OPENAI_API_KEY="sk-secret") as gateway:
            metrics = json.loads(line_with(gateway.stderr, "prometheus metrics enabled"))
            assert (metrics["level"], metrics["endpoint"]) == ("INFO", "/m")
            address = json.loads(line_with(gateway.stderr, "gateway is listening"))["url"]
            assert metrics["prometheus_metrics_url"] == f"{address}/m"
            with urllib.request.urlopen(f"{address}/health", timeout=30) as reply:
                assert reply.status == 200
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{address}/m", timeout=30)
            asked = urllib.request.Request(f"{address}/m", headers={"Authorization": "Bearer the-master-key"})
            with urllib.request.urlopen(asked, timeout=30) as reply:
                assert b"tallygate_build_info{" in reply.read()
            gateway.send_signal(signal.SIGTERM)
            _, rest = gateway.communicate(timeout=30)
            assert gateway.returncode == 0
            assert "secret" not in rest
            assert "the-master-key" not in rest
        provider.send_signal(signal.SIGINT)
        assert provider.wait(30) == 0


@pytest.mark.parametrize("command", ["serve", "simulate", "demo"])
def test_a_port_that_is_taken_ends_with_1(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = tallygate(tmp_path, command, "--port", port, OPENAI_API_KEY="k")
    assert ended.status == 1
    (line,) = ended.err.splitlines()
    assert port in line
    assert "in use" in line


def test_an_unusable_state_directory_ends_with_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = tallygate(
        tmp_path,
        "serve",
        "--port",
        "0",
        OPENAI_API_KEY="k",
        TALLYGATE_METRICS__STATE_DIRECTORY=str(tmp_path / "file" / "x"),
    )
    assert ended.status == 1
    (line,) = ended.err.splitlines()
    assert str(tmp_path / "file") in line
