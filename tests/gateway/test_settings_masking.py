"""No secret is shown: not in the settings as printed, not in their repr, not in complaints."""

from pathlib import Path

import pytest

from tallygate.gateway.settings import ConfigurationError, Settings, load, masked, secrets

SECRETS = ("sk-provider-key", "the-master-key", "scrapers-secret", "header-secret")
FILE = """
[server]
master_key = "the-master-key"
[metrics]
secret = "scrapers-secret"
state_directory = "/var/lib/tallygate"
[providers.openai]
base_url = "https://api.openai.com/v1"
api_key = "sk-provider-key"
models = ["a", { name = "b", price = { input = 0.1, output = 0.00000001 } }]
[providers.openai.headers]
X-Gateway = "header-secret"
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    file = tmp_path / "gateway.toml"
    file.write_text(FILE)
    return load({}, file, {}, None)


def test_secrets_are_masked_whole(settings: Settings) -> None:
    shown = masked(settings)
    assert shown["server"]["master_key"] == "********"
    assert shown["metrics"]["secret"] == "********"
    assert shown["providers"]["openai"]["api_key"] == "********"
    assert shown["providers"]["openai"]["headers"] == {"X-Gateway": "********"}
    for text in (str(shown), repr(settings), str(settings), settings.model_dump_json()):
        assert [secret for secret in SECRETS if secret in text] == []


def test_the_rest_is_plain_data(settings: Settings) -> None:
    shown = masked(settings)
    assert shown["metrics"]["state_directory"] == "/var/lib/tallygate"
    assert shown["metrics"]["dialects"] == ["tallygate"]
    assert "listener" not in shown["metrics"]
    assert shown["providers"]["openai"]["models"] == [
        {"name": "a", "aliases": []},
        {"name": "b", "aliases": [], "price": {"input": "0.1", "output": "0.00000001"}},
    ]
    assert type(shown["limits"]["body_bytes"]) is int


def test_every_secret_is_known_to_the_logs(settings: Settings) -> None:
    assert sorted(secrets(settings)) == sorted(SECRETS)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("wrong", ["[{}]", "5", '"{}\\u0007"'])
def test_complaints_do_not_show_secrets(tmp_path: Path, secret: str, wrong: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(FILE.replace(f'"{secret}"', wrong.format(f'"{secret}"') if "[" in wrong else wrong.format(secret)))
    with pytest.raises(ConfigurationError) as error:
        load({}, file, {}, None)
    assert len(error.value.problems) == 1
    assert [one for one in SECRETS if one in str(error.value) or one in repr(error.value.problems)] == []


@pytest.mark.parametrize(
    "environ",
    [
        {"TALLYGATE_PROVIDERS__OPENAI__API_KEYS": "hunter2"},
        {"TALLYGATE_PROVIDERS__OPENAI": "hunter2"},
        {"TALLYGATE_PROVIDERS__OPENAI__HEADERS": "hunter2"},
        {"TALLYGATE_MASTER_KEY": "hunter2\nx"},
        {"OPENAI_API_KEY": "hunter2\nx"},
        {"OPENAI_BASE_URL": "https://hunter2@host/"},
        {"OPENAI_BASE_URL": "https://host/?key=hunter2"},
    ],
)
def test_complaints_do_not_show_variables_that_may_be_secret(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as error:
        load({}, None, {"OPENAI_API_KEY": "k"} | environ, None)
    assert next(iter(environ)) in str(error.value)
    assert "hunter2" not in str(error.value)
