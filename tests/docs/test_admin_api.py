"""docs/admin-api.md and docs/security.md: commands are run, operations and tests are there, settings can be loaded."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from tallygate.gateway.admin.app import OPERATIONS
from tallygate.gateway.admin.problems import Refused
from tallygate.gateway.admin.reading import body_as
from tallygate.gateway.admin.schemas import UserDraft
from tallygate.gateway.settings import Settings
from tallygate.simulator import run_in_thread
from tests.docs.pages import ROOT, written_in
from tests.docs.test_accounts import shell
from tests.docs.test_commands import DEFAULT, lines, of_page, running

PAGE = ROOT / "docs/admin-api.md"
SECURITY = ROOT / "docs/security.md"


def test_the_commands_from_a_user_to_a_report(tmp_path: Path) -> None:
    serve, asking = of_page("docs/admin-api.md")
    with (
        run_in_thread() as provider,
        running(serve.text, tmp_path, OPENAI_BASE_URL=f"{provider.url}/v1", TALLYGATE_SERVER__PORT="0") as gateway,
    ):
        for line in lines(gateway.stderr):
            entry = json.loads(line)
            if entry["msg"] == "gateway is listening":
                break
        done = shell(asking.text.replace(f"http://{DEFAULT}", entry["url"]), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    made, granted, key, changed, keys, report = map(json.loads, done.stdout.splitlines())
    assert (made["name"], made["kind"], made["prepaid"], made["limits"]["monthly_budget"]) == (
        "search", "team", True, "500.00",
    )  # fmt: skip
    assert (granted["credit"]["amount"], granted["user"]["balance"]) == ("100.00", "100.00")
    assert key["secret"].startswith(key["key"]["prefix"])
    assert changed["limits"]["requests_per_minute"] == 600
    assert changed["limits"]["monthly_budget"] is None
    assert [one["name"] for one in keys["items"]] == ["ci"]
    assert report["total"]["calls"] == 0


def test_every_operation_is_told() -> None:
    told = re.findall(r"^\| `([A-Z]+) (/admin\S*)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert told == [(one.method, one.path, one.summary) for one in OPERATIONS]


def test_a_problem_looks_so() -> None:
    (shown,) = [snippet for snippet in written_in("json") if snippet.page == "docs/admin-api.md"]
    with pytest.raises(Refused) as refused:
        body_as(UserDraft, b'{"name": "x", "kind": "robot"}')
    assert msgspec.to_builtins(refused.value.problem) == json.loads(shown.text)


def test_the_tests_that_the_page_names_are_there() -> None:
    _, _, section = SECURITY.read_text().partition("## Where it is tested")
    named = re.findall(r"`(tests/[\w/]+\.py)`", section)
    assert len(named) > 15
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", ["docs/security.md"])
def test_the_settings_are_settings(page: str) -> None:
    (shown,) = [snippet for snippet in written_in("toml") if snippet.page == page]
    settings = Settings.model_validate(tomllib.loads(shown.text))
    assert settings.server.tls is not None
    assert settings.server.tls.client_certificate == "required"
    assert settings.metrics.listener is not None
    assert settings.metrics.listener.tls is not None
    assert settings.upstream.ca_file == Path("/etc/tallygate/own-providers.pem")
