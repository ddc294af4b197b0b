"""Where settings come from, and which source goes before which."""

import json
import pickle
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tallygate.gateway.settings import Settings, load
from tallygate.gateway.settings.files import FileReader
from tallygate.gateway.settings.tree import Origin, Tree
from tallygate.gateway.settings.vendors import VENDORS
from tallygate.pricing import PriceOverride

KEY = {"OPENAI_API_KEY": "sk-test"}
SOURCES = ("flag", "environment", "dotenv", "file")
PORTS = {"flag": 4001, "environment": 4002, "dotenv": 4003, "file": 4004}


def loaded(directory: Path, *sources: str) -> Settings:
    """The settings when these sources each say another port."""
    file, dotenv = directory / "gateway.toml", directory / ".env"
    file.write_text(f"[server]\nport = {PORTS['file']}\n" if "file" in sources else "")
    dotenv.write_text(f"PORT={PORTS['dotenv']}\n" if "dotenv" in sources else "")
    environ = KEY | ({"TALLYGATE_SERVER__PORT": str(PORTS["environment"])} if "environment" in sources else {})
    return load({"server.port": PORTS["flag"] if "flag" in sources else None}, file, environ, dotenv)


@pytest.mark.parametrize(("first", "second"), list(combinations(SOURCES, 2)))
def test_each_source_goes_before_the_next(tmp_path: Path, first: str, second: str) -> None:
    assert loaded(tmp_path, first, second).server.port == PORTS[first]


@pytest.mark.parametrize("source", SOURCES)
def test_each_source_goes_before_the_defaults(tmp_path: Path, source: str) -> None:
    assert loaded(tmp_path).server.port == 4000
    assert loaded(tmp_path, source).server.port == PORTS[source]


def test_sources_are_joined_setting_by_setting(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text("server: {host: 0.0.0.0, port: 5000}\nproviders: {local: {base_url: http://x, models: [a]}}\n")
    environ = {"TALLYGATE_SERVER__PORT": "6000", "TALLYGATE_PROVIDERS__LOCAL__API_KEY": "k"}
    settings = load({}, file, environ, None)
    assert (settings.server.host, settings.server.port) == ("0.0.0.0", 6000)
    local = settings.providers["local"]
    assert local.api_key is not None
    assert (local.base_url, local.api_key.get_secret_value(), local.models[0].name) == ("http://x", "k", "a")


@pytest.mark.parametrize(
    ("name", "value", "path", "expected"),
    [
        ("PORT", "5000", "server.port", 5000),
        ("METRICS_ENABLED", "false", "metrics.enabled", False),
        ("METRICS_ENABLED", "", "metrics.enabled", False),
        ("METRICS_ENABLED", "No", "metrics.enabled", False),
        ("METRICS_ENABLED", "0", "metrics.enabled", False),
        ("METRICS_ENABLED", "off", "metrics.enabled", False),
        ("METRICS_ENABLED", "1", "metrics.enabled", True),
        ("METRICS_ENABLED", "YES", "metrics.enabled", True),
        ("METRICS_ENABLED", "on", "metrics.enabled", True),
        ("METRICS_ENDPOINT", "/internal/metrics/", "metrics.endpoint", "/internal/metrics"),
        ("TALLYGATE_METRICS__DIALECTS", "otel, aurora", "metrics.dialects", ("otel", "aurora")),
        ("TALLYGATE_METRICS__DIALECTS", '["otel"]', "metrics.dialects", ("otel",)),
        ("TALLYGATE_METRICS__LISTENER__PORT", "9100", "metrics.listener.port", 9100),
        ("TALLYGATE_METRICS__LISTENER", "true", "metrics.listener.port", 3131),
        ("TALLYGATE_METRICS__LISTENER", "false", "metrics.listener", None),
        ("TALLYGATE_METRICS__STATE_DIRECTORY", "/var/lib/t", "metrics.state_directory", Path("/var/lib/t")),
        ("TALLYGATE_SERVER__PORT", "", "server.port", 4000),
        ("TALLYGATE_SERVER__GRACE_SECONDS", "0.5", "server.grace_seconds", 0.5),
        ("TALLYGATE_LIMITS__BODY_BYTES", "64MiB", "limits.body_bytes", 64 * 1024 * 1024),
        ("TALLYGATE_ALIASES", '{"fast": "gpt-4o-mini"}', "aliases", {"fast": "gpt-4o-mini"}),
        ("TALLYGATE_ENVIRONMENT", "production", "environment", "production"),
        ("TALLYGATE_LOG__LEVEL", "DEBUG", "log.level", "debug"),
    ],
)
def test_variables(name: str, value: str, path: str, expected: object) -> None:
    found: Any = load({}, None, KEY | {name: value}, None)
    for part in path.split("."):
        found = getattr(found, part)
    assert found == expected


def test_the_long_name_goes_before_the_short_one() -> None:
    assert load({}, None, KEY | {"PORT": "1", "TALLYGATE_SERVER__PORT": "2"}, None).server.port == 2


def test_a_listener_from_two_sources(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("[metrics]\nlistener = true\n")
    listener = load({}, file, KEY | {"TALLYGATE_METRICS__LISTENER__PORT": "9100"}, None).metrics.listener
    assert listener is not None
    assert (listener.host, listener.port) == ("127.0.0.1", 9100)


@pytest.mark.parametrize("name", ["TALLYGATE_MASTER_KEY", "TALLYGATE_SERVER__MASTER_KEY"])
def test_a_secret_in_a_variable_or_in_a_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "key").write_text("from-file\n")
    for environ, expected in (({name: "plain"}, "plain"), ({f"{name}_FILE": str(tmp_path / "key")}, "from-file")):
        key = load({}, None, KEY | environ, None).server.master_key
        assert key is not None
        assert key.get_secret_value() == expected


def test_an_empty_secret_is_none() -> None:
    assert load({}, None, KEY | {"TALLYGATE_MASTER_KEY": ""}, None).server.master_key is None


def test_dotenv(tmp_path: Path) -> None:
    dotenv, file = tmp_path / ".env", tmp_path / "gateway.toml"
    dotenv.write_text("# a comment\nexport ANTHROPIC_API_KEY='sk-a'\nMETRICS_ENABLED=false\nNAME=from-dotenv\n")
    file.write_text('service = "${NAME}"\n')
    settings = load({}, file, {}, dotenv)
    assert list(settings.providers) == ["anthropic"]
    assert settings.metrics.enabled is False
    assert settings.service == "from-dotenv"
    assert load({}, file, {"NAME": "from-environment", "METRICS_ENABLED": "1"}, dotenv).metrics.enabled is True
    assert load({}, file, {"NAME": "from-environment"}, dotenv).service == "from-environment"


def test_a_missing_dotenv_is_none(tmp_path: Path) -> None:
    assert load({}, None, KEY, tmp_path / ".env") == load({}, None, KEY, None)


@pytest.mark.parametrize(
    ("text", "environ", "expected"),
    [
        ("${A}", {"A": "x"}, "x"),
        ("a-${A}-${B}", {"A": "x", "B": "y"}, "a-x-y"),
        ("${A:-d}", {}, "d"),
        ("${A:-d}", {"A": ""}, "d"),
        ("${A:-d}", {"A": "x"}, "x"),
        ("${A:-}z", {}, "z"),
        ("$${A}", {"A": "x"}, "${A}"),
        ("$A and $ and {A}", {"A": "x"}, "$A and $ and {A}"),
        ("${A}", {"A": "${B}"}, "${B}"),
    ],
)
def test_references(tmp_path: Path, text: str, environ: dict[str, str], expected: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(f"service = {json.dumps(text)}\n")
    assert load({}, file, KEY | environ, None).service == expected


@given(st.text(st.characters(codec="utf-8", exclude_characters="$"), min_size=1))
def test_text_without_references_stays_as_it_is(text: str) -> None:
    reader = FileReader(Path("unread.toml"), {})
    assert reader._fill({"service": [text]}, ()) == {"service": [text]}
    assert reader.problems == []


def test_toml_and_yaml_say_the_same(tmp_path: Path) -> None:
    toml, yml = tmp_path / "a.toml", tmp_path / "a.yml"
    toml.write_text(
        '[server]\nport = 5000\n[providers.local]\nbase_url = "http://x/"\n'
        'models = ["a", { name = "b", aliases = ["c"] }]\n'
        "[prices.a]\ninput = 0.1\n"
    )
    yml.write_text(
        "server:\n  port: 5000\n  host:\nproviders:\n  local:\n    base_url: http://x/\n"
        "    models:\n      - a\n      - name: b\n        aliases: [c]\nprices:\n  a:\n    input: 0.1\naliases:\n"
    )
    assert load({}, toml, {}, None) == load({}, yml, {}, None)


@pytest.mark.parametrize("vendor", list(VENDORS.values()), ids=lambda vendor: str(vendor.name))
def test_a_key_or_an_address_makes_a_provider(vendor: Any) -> None:
    environ = dict.fromkeys(vendor.keys[:1], "the-key")
    if not vendor.base_url:
        environ |= {vendor.addresses[0]: "https://own.example/"}
    settings = load({}, None, environ, None)
    assert list(settings.providers) == [vendor.name]
    provider = settings.providers[vendor.name]
    assert provider.kind == vendor.kind
    assert provider.base_url == (vendor.base_url or "https://own.example")
    assert (provider.api_key.get_secret_value() if provider.api_key else None) == ("the-key" if vendor.keys else None)


def test_vendors_variables_in_detail(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-file\n")
    environ = {
        "OPENAI_API_KEY_FILE": str(tmp_path / "key"),
        "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "GOOGLE_API_KEY": "second",
        "GEMINI_API_KEY": "first",
        "AZURE_OPENAI_API_KEY": "a",
        "AZURE_OPENAI_ENDPOINT": "https://res.openai.azure.com/",
        "OPENAI_API_VERSION": "2024-10-21",
        "ANTHROPIC_API_KEY": "",
    }
    providers = load({}, None, environ, None).providers
    assert list(providers) == ["openai", "gemini", "azure"]
    keys = {name: provider.api_key.get_secret_value() for name, provider in providers.items() if provider.api_key}
    assert keys == {"openai": "sk-file", "gemini": "first", "azure": "a"}
    assert providers["openai"].base_url == "http://127.0.0.1:9/v1"
    assert (providers["azure"].base_url, providers["azure"].api_version) == (
        "https://res.openai.azure.com",
        "2024-10-21",
    )


def test_a_provider_of_the_file_takes_what_it_does_not_say(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[providers.openai]\nmodels = ["gpt-4o"]\n[providers.groq]\napi_key = "of-the-file"\n')
    providers = load({}, file, KEY | {"GROQ_API_KEY": "of-the-environment"}, None).providers
    assert providers["openai"].base_url == "https://api.openai.com/v1"
    assert providers["openai"].api_key is not None
    assert providers["openai"].api_key.get_secret_value() == "sk-test"
    assert providers["groq"].api_key is not None
    assert providers["groq"].api_key.get_secret_value() == "of-the-file"


def test_a_key_is_not_sent_to_an_address_of_the_files_own(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text('[providers.openai]\nbase_url = "http://127.0.0.1:8000/v1"\n')
    assert load({}, file, KEY, None).providers["openai"].api_key is None


@pytest.mark.parametrize(
    ("kind", "given_url", "kept"),
    [
        ("anthropic", "https://api.anthropic.com/v1/", "https://api.anthropic.com"),
        ("gemini", "https://g.example/v1beta", "https://g.example"),
        ("azure", "https://r.example/openai/v1/", "https://r.example"),
        ("azure", "https://r.example/openai", "https://r.example"),
        ("openai", "https://api.openai.com/v1/", "https://api.openai.com/v1"),
    ],
)
def test_versions_that_the_gateway_adds_are_taken_off(kind: str, given_url: str, kept: str) -> None:
    settings = Settings.model_validate({"providers": {"p": {"kind": kind, "base_url": given_url}}})
    assert settings.providers["p"].base_url == kept


def test_prices_of_models_join_the_others() -> None:
    settings = Settings.model_validate(
        {
            "providers": {
                "p": {
                    "base_url": "http://x",
                    "models": ["free", {"name": "m/1", "price": {"input": 0.15, "output": "0.6"}}],
                }
            },
            "prices": {"house": {"input": 1}, "p/free": {"input": 0, "cache_read": 0}},
        }
    )
    assert set(settings.price_overrides) == {
        PriceOverride("m/1", Decimal("0.15"), Decimal("0.6"), None, None, "p"),
        PriceOverride("house", Decimal(1)),
        PriceOverride("free", Decimal(0), Decimal(0), Decimal(0), None, "p"),
    }


def test_dimensions_get_label_names_and_headers() -> None:
    settings = Settings.model_validate(
        {
            "metrics": {"labels": ["my-team"]},
            "dimensions": {
                "my-team": {"values": ["a"]},
                "external-agent-id": {"values": "x,y"},
                "route": {"header": "X-Use", "values": ["chat"]},
            },
        }
    )
    assert {name: dimension.header for name, dimension in settings.dimensions.items()} == {
        "my_team": "X-Tallygate-My-Team",
        "external_agent_id": "X-Archestra-Agent-Id",
        "route": "X-Use",
    }
    assert settings.dimensions["external_agent_id"].values == ("x", "y")


def test_settings_travel_to_worker_processes() -> None:
    settings = load({}, None, KEY | {"TALLYGATE_MASTER_KEY": "m"}, None)
    copied = pickle.loads(pickle.dumps(settings))
    assert copied == settings
    assert copied.server.master_key.get_secret_value() == "m"


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from("abc"), min_size=1, max_size=3), st.integers()), min_size=1, max_size=12
    )
)
def test_what_is_laid_last_is_found(given_values: list[tuple[list[str], int]]) -> None:
    tree = Tree()
    for path, value in given_values:
        nested: Any = value
        for key in reversed(path):
            nested = {key: nested}
        tree.lay((), nested, Origin(str(value), whole=True))
    path, value = given_values[-1]
    assert tree.get(tuple(path)) == value
    assert tree.where(tuple(path)) == f"{'.'.join(path)} in {value}"
    assert yaml.safe_load(yaml.safe_dump(tree.data)) == tree.data
