"""Wrong configurations, and what is said of each: where, the value, the problem and the mend."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from tallygate.gateway.settings import ConfigurationError, NoProvider, Settings, load

PROVIDER = '[providers.local]\nbase_url = "http://127.0.0.1:8000/v1"\nmodels = ["a", "b"]\n'


def told(file: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """The lines for a configuration, the file's path replaced by FILE."""
    file.write_text(text)
    with pytest.raises(ConfigurationError) as error:
        load({}, file, environ or {}, None)
    assert str(error.value).splitlines() == [str(problem) for problem in error.value.problems]
    return [str(problem).replace(str(file), "FILE") for problem in error.value.problems]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[server]\nport = 70000",
            "server.port in FILE: 70000: must be at most 65535; ports are 1 to 65535, and 0 for any free one",
        ),
        ('[server]\nport = "http"', 'server.port in FILE: "http": is no whole number; write one, such as 4000'),
        ("[server]\nport = true", "server.port in FILE: true: is no number; write a number"),
        ("[server]\nport = 4000.5", "server.port in FILE: 4000.5: is no whole number; write one, such as 4000"),
        ('[server]\nhost = ""', 'server.host in FILE: "": is empty; give it a value, or leave it out'),
        ("[server]\nhost = 5", "server.host in FILE: 5: is no text; write it in quotes"),
        ("[server]\nworkers = 0", "server.workers in FILE: 0: must be at least 1; the default is 1"),
        ("[server]\nprot = 1", "server.prot in FILE: there is no such setting; did you mean 'port'?"),
        (
            "[server]\nxyz = 1",
            "server.xyz in FILE: there is no such setting; known are host, port, workers, grace_seconds, "
            "master_key, tls",
        ),
        ("[sever]\nport = 1", "sever in FILE: there is no such setting; did you mean 'server'?"),
        (
            "server = 4000",
            "server in FILE: is no table; write its settings below it: host, port, workers, "
            "grace_seconds, master_key, tls",
        ),
        (
            '[metrics]\nendpoint = "metrics"',
            'metrics.endpoint in FILE: "metrics": metrics endpoint must start with /; write /metrics',
        ),
        (
            '[metrics]\nendpoint = "/v1/metrics/"',
            'metrics.endpoint in FILE: "/v1/metrics/": metrics endpoint conflicts with API routes (/v1); '
            "use another, as in /metrics",
        ),
        (
            '[metrics]\nendpoint = "/health"',
            'metrics.endpoint in FILE: "/health": metrics endpoint conflicts with API routes (/health); '
            "use another, as in /metrics",
        ),
        (
            '[metrics]\nendpoint = "/a/../v1"',
            'metrics.endpoint in FILE: "/a/../v1": is no path of its own; use plain segments, as in /internal/metrics',
        ),
        (
            '[metrics]\nendpoint = "/"',
            'metrics.endpoint in FILE: "/": is no path of its own; use plain segments, as in /internal/metrics',
        ),
        (
            "[server]\nport = 3131\n[metrics]\nlistener = true",
            "metrics.listener.port in FILE: metrics listener port 3131 is the server's port too; "
            "configure a different port for one of them",
        ),
        (
            '[metrics]\nenabled = "perhaps"',
            'metrics.enabled in FILE: "perhaps": is no truth value; '
            "use true, 1, yes or on; or false, 0, no, off or nothing",
        ),
        (
            '[metrics]\ndialects = ["otle"]',
            "metrics.dialects in FILE: no dialect is called 'otle'; did you mean 'otel'?",
        ),
        (
            '[metrics]\nlabels = ["model"]',
            "metrics.labels in FILE: custom label 'model' would shadow the built-in label 'model'; rename it",
        ),
        (
            '[metrics]\nlabels = ["my-team", "my_team"]',
            "metrics.labels in FILE: custom labels 'my-team' and 'my_team' would both be the label 'my_team'; "
            "rename one",
        ),
        (
            '[metrics]\nlabels = ["cache-type"]',
            "metrics.labels in FILE: custom label 'cache_type' is a label of llm_cache_tokens_total "
            "in the dialect 'archestra' already; rename it",
        ),
        (
            '[metrics]\nlabels = ["a b"]',
            "metrics.labels in FILE: 'a b' is no name for a label; begin with a letter; use letters, digits, _ and -",
        ),
        (
            '[metrics.identities]\nuser = "raw"',
            "metrics.identities.user in FILE: 'user' is no identity; they are user_id, api_key_id, session_id",
        ),
        (
            '[metrics.identities]\nuser_id = "top"',
            "metrics.identities.user_id in FILE: user_id is 'top'; say raw, hashed, or top:N with N from 1 to 10,000",
        ),
        (
            '[metrics]\nlabels = ["user-id"]',
            "metrics.labels in FILE: custom label 'user-id' is an identity, of which there may be ever so many; "
            "turn it on as identities = {'user_id': 'hashed'}",
        ),
        ('[metrics]\nlabels = ["a", "a"]', "metrics.labels in FILE: names 'a' twice; remove one"),
        (
            '[providers.Shout]\nbase_url = "http://x"',
            "providers.Shout in FILE: 'Shout' is no name for a provider; use lower-case letters, digits, - and _",
        ),
        (
            "[providers.new]\n",
            "providers.new in FILE: has no base_url; say where the provider is, "
            "as in base_url = 'https://api.example.com/v1'",
        ),
        (
            '[providers.new]\nbase_url = "ftp://x"',
            'providers.new.base_url in FILE: "ftp://x": is no http or https URL; write it as in https://api.example.com/v1',
        ),
        (
            '[providers.new]\nbase_url = "https://joe:hunter2@x/v1"',
            'providers.new.base_url in FILE: "https://********@x/v1": carries credentials; '
            "take them out of the URL and use api_key or headers",
        ),
        (
            '[providers.new]\nbase_url = "https://x/v1?key=hunter2"',
            'providers.new.base_url in FILE: "https://x/v1?********": has a query or a fragment; '
            "end it with the path; api_version is a setting of its own",
        ),
        (
            '[providers.new]\nbase_url = "https://x:99999/v1"',
            'providers.new.base_url in FILE: "https://x:99999/v1": is no URL; write it as in https://api.example.com/v1',
        ),
        (
            '[providers.new]\nbase_url = "https://x"\nkind = "antropic"',
            'providers.new.kind in FILE: "antropic": is none of openai, azure, anthropic, gemini; '
            "did you mean 'anthropic'?",
        ),
        (
            '[providers.new]\nbase_url = "https://x"\nkey = "hunter2"',
            "providers.new.key in FILE: there is no such setting; did you mean 'api_key'?",
        ),
        (
            '[providers.new]\nbase_url = "https://x"\napi_key = 5',
            "providers.new.api_key in FILE: is no text; write it in quotes",
        ),
        (
            '[providers.new]\nbase_url = "https://x"\napi_key = "hunter2\\nX-Evil: 1"',
            "providers.new.api_key in FILE: has characters that an HTTP header cannot carry; "
            "check for line breaks and copied symbols",
        ),
        (
            '[providers.new]\nbase_url = "https://x"\napi_version = "2024-10-21"',
            "providers.new.api_version in FILE: \"2024-10-21\": is for Azure only; remove it, or set kind = 'azure'",
        ),
        (
            '[providers.new]\nbase_url = "https://x"\nmodels = ["m", { name = "n", aliases = ["m"] }]',
            "providers.new.models[1] in FILE: the name 'm' is there twice; remove one",
        ),
        (
            '[providers.new]\nbase_url = "https://x"\nmodels = [{ nme = "n" }]',
            "providers.new.models[0].name in FILE: is missing; add name",
        ),
        (
            '[providers.new]\nbase_url = "https://x"\n[providers.new.headers]\n"X Y" = "1"',
            'providers.new.headers."X Y" in FILE: is no name of an HTTP header; '
            "use letters, digits and hyphens, as in X-Team",
        ),
        (
            "[prices.a]\ninput = -0.5",
            "prices.a.input in FILE: -0.5: is no price; use a number of USD per million tokens, 0 or more",
        ),
        ("[prices.a]\noutput = 1", "prices.a.input in FILE: is missing; add input"),
        (
            '[prices."a.b/c"]\ninput = "dear"',
            'prices."a.b/c".input in FILE: "dear": is no price; use a number of USD per million tokens, such as 0.15',
        ),
        (
            "[limits]\nbody_bytes = 0",
            "limits.body_bytes in FILE: 0: must be at least 1; the default is 33554432",
        ),
        (
            '[limits]\nbody_bytes = "much"',
            'limits.body_bytes in FILE: "much": is no size; write a number of bytes, or text such as 32MiB',
        ),
        ("[limits]\nhead_seconds = 0", "limits.head_seconds in FILE: 0: must be above 0; the default is 10"),
        (
            "[limits]\nhead_seconds = inf",
            "limits.head_seconds in FILE: Infinity: is no time; write a number of seconds",
        ),
        (
            '[dimensions.rout]\nvalues = ["a"]',
            "dimensions.rout in FILE: is neither a built-in dimension nor a custom label; did you mean 'route'?",
        ),
        (
            '[dimensions.team]\nvalues = ["a"]',
            "dimensions.team in FILE: is neither a built-in dimension nor a custom label; "
            "add it to metrics.labels, or remove it",
        ),
        ("[dimensions.route]\nvalues = []", "dimensions.route.values in FILE: is empty; name at least one"),
        (
            '[dimensions.route]\nheader = "Authorization"\nvalues = ["a"]',
            'dimensions.route.header in FILE: "Authorization": carries credentials, which must not become labels; '
            "use another header",
        ),
        (
            '[log]\nlevel = "loud"',
            'log.level in FILE: "loud": is none of debug, info, warning, error; use one of these',
        ),
        (
            '[aliases]\na = "local/b"',
            "aliases.a in FILE: \"local/b\": the alias shadows the model 'a'; give the alias another name",
        ),
        (
            '[aliases]\n"local/x" = "a"',
            'aliases."local/x" in FILE: "a": the alias shadows a model of the provider \'local\'; '
            "give the alias another name",
        ),
        (
            '[aliases]\nx = "local/c"',
            "aliases.x in FILE: \"local/c\": the provider 'local' has no model 'c'; known are a, b",
        ),
        (
            '[aliases]\nx = "nowhere"',
            'aliases.x in FILE: "nowhere": no provider serves this model; add it to the models of a provider',
        ),
        (
            '[aliases]\nx = "y"\ny = "z"\nz = "x"',
            'aliases.x in FILE: "y": goes round in circles: x -> y -> z -> x; point one of them at a model',
        ),
        ('[aliases]\nx = "x"', 'aliases.x in FILE: "x": goes round in circles: x -> x; point one of them at a model'),
    ],
)
def test_one_mistake_gives_one_line(tmp_path: Path, text: str, line: str) -> None:
    lines = told(tmp_path / "gateway.toml", f"{text}\n{PROVIDER}")
    assert line in lines
    # An unknown key in place of a required one is two mistakes.
    assert len(lines) == (2 if "nme" in text else 1)
    assert "hunter2" not in "\n".join(lines)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = (
        '[server]\nport = 99999\nprot = 1\n[metrics]\nendpoint = "m"\ndialects = ["otle"]\n'
        '[aliases]\nx = "nowhere"\n[limits]\nconnections = "many"\n'
    )
    lines = told(tmp_path / "gateway.toml", text + PROVIDER, {"TALLYGATE_SERVER__WORKERS": "two"})
    assert [line.partition(":")[0] for line in lines] == [
        "server.port in FILE",
        "environment variable TALLYGATE_SERVER__WORKERS",
        "server.prot in FILE",
        "limits.connections in FILE",
        "metrics.endpoint in FILE",
        "metrics.dialects in FILE",
        "aliases.x in FILE",
    ]


def test_a_clash_of_dialects_names_the_family(tmp_path: Path) -> None:
    (line,) = told(tmp_path / "gateway.toml", '[metrics]\ndialects = ["archestra", "hyperagent"]\n' + PROVIDER)
    assert line == (
        "metrics.dialects in FILE: dialects 'archestra' and 'hyperagent' cannot share a page: "
        "each declares 'llm_tokens_total' in its own way; "
        "serve one of them by default and read the other apart, with ?dialect=hyperagent"
    )


def test_a_price_at_two_places(tmp_path: Path) -> None:
    text = (
        '[providers.local]\nbase_url = "http://x"\nmodels = [{ name = "a", price = { input = 1 } }]\n'
        '[prices."local/a"]\ninput = 2\n'
    )
    assert told(tmp_path / "gateway.toml", text) == [
        "prices.\"local/a\" in FILE: the model 'a' has another price as well; remove one"
    ]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("PORT", "x", 'environment variable PORT: "x": is no whole number; write one, such as 4000'),
        (
            "METRICS_ENABLED",
            "maybe",
            'environment variable METRICS_ENABLED: "maybe": is no truth value; '
            "use true, 1, yes or on; or false, 0, no, off or nothing",
        ),
        (
            "METRICS_ENDPOINT",
            "metrics",
            'environment variable METRICS_ENDPOINT: "metrics": metrics endpoint must start with /; write /metrics',
        ),
        (
            "TALLYGATE_SERVER__PROT",
            "1",
            "environment variable TALLYGATE_SERVER__PROT: there is no such setting; "
            "did you mean TALLYGATE_SERVER__PORT?",
        ),
        (
            "TALLYGATE_ENVIROMENT",
            "1",
            "environment variable TALLYGATE_ENVIROMENT: there is no such setting; did you mean TALLYGATE_ENVIRONMENT?",
        ),
        (
            "TALLYGATE_LIMITS__SPEED",
            "1",
            "environment variable TALLYGATE_LIMITS__SPEED: there is no such setting; known are "
            "TALLYGATE_LIMITS__BODY_BYTES, TALLYGATE_LIMITS__HEAD_BYTES, TALLYGATE_LIMITS__HEAD_SECONDS, "
            "TALLYGATE_LIMITS__BODY_SECONDS, TALLYGATE_LIMITS__CONNECTIONS, TALLYGATE_LIMITS__STREAM_IDLE_SECONDS, "
            "TALLYGATE_LIMITS__UPSTREAM_CONNECT_SECONDS, TALLYGATE_LIMITS__UPSTREAM_FIRST_BYTE_SECONDS, "
            "TALLYGATE_LIMITS__UPSTREAM_TOTAL_SECONDS",
        ),
        (
            "TALLYGATE_PROVIDERS",
            "{hunter2",
            'environment variable TALLYGATE_PROVIDERS: is no JSON; write a JSON object, as in {"name": "value"}',
        ),
        (
            "TALLYGATE_PROVIDERS__LOCAL__MODELS",
            "[hunter2",
            "environment variable TALLYGATE_PROVIDERS__LOCAL__MODELS: is no JSON array; "
            'write ["one", "two"], or one,two',
        ),
        (
            "TALLYGATE_METRICS__SECRET_FILE",
            "/does/not/exist",
            "environment variable TALLYGATE_METRICS__SECRET_FILE: /does/not/exist cannot be read: "
            "No such file or directory; name a file that holds the secret and nothing else",
        ),
        (
            "AZURE_OPENAI_API_KEY",
            "hunter2",
            "environment variable AZURE_OPENAI_API_KEY: has no base_url; set it to the resource's address, "
            "as in 'https://NAME.openai.azure.com', or set AZURE_OPENAI_ENDPOINT",
        ),
        (
            "OPENAI_BASE_URL",
            "localhost:8000",
            'environment variable OPENAI_BASE_URL: "localhost:8000": is no http or https URL; '
            "write it as in https://api.example.com/v1",
        ),
    ],
)
def test_variables_are_named(tmp_path: Path, name: str, value: str, line: str) -> None:
    assert told(tmp_path / "gateway.toml", PROVIDER, {name: value}) == [line]


@pytest.mark.parametrize(
    "name", ["TALLYGATE_KEY", "TALLYGATE_SERVICE_HOST", "TALLYGATE_SERVICE_PORT_HTTP", "TALLYGATE_PORT_4000_TCP_ADDR"]
)
def test_variables_of_others_are_left_alone(name: str) -> None:
    load({}, None, {"OPENAI_API_KEY": "k", name: "tcp://10.0.0.1:4000"}, None)


def test_flags_are_named() -> None:
    with pytest.raises(ConfigurationError) as error:
        load({"server.port": "-1", "log.format": "xml"}, None, {"OPENAI_API_KEY": "k"}, None)
    assert [str(problem) for problem in error.value.problems] == [
        '--port: "-1": must be at least 0; ports are 1 to 65535, and 0 for any free one',
        '--log-format: "xml": is none of json, plain; use one of these',
    ]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("a.toml", "port = ?", "FILE: is no TOML: Invalid value (at line 1, column 8); mend the syntax there"),
        (
            "a.yaml",
            "a: [",
            "FILE: is no YAML: expected the node content, but found '<stream end>' (at line 1, column 5); "
            "mend the syntax there",
        ),
        ("a.toml", 'providers = "hunter2"', "providers in FILE: is no table; write names and values below it"),
        ("a.yml", "- a", "FILE: is no table of settings; write sections such as server: and providers:"),
        ("a.yaml", "1: a", "FILE: has the key 1, which is no text; put it in quotes"),
        ("a.json", "{}", "FILE: cannot be read as '.json'; name it .toml, .yaml or .yml"),
        (
            "a.yaml",
            "server:\n  host: ${HOST_NAME}",
            'server.host in FILE: "${HOST_NAME}": the environment variable HOST_NAME is not set; '
            "set it, or give a default: ${HOST_NAME:-...}",
        ),
        (
            "a.yaml",
            "service: a-${b",
            "service in FILE: has a ${ that begins no ${VAR} or ${VAR:-default}; "
            "close it, or write $${ for the characters themselves",
        ),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, text: str, line: str) -> None:
    assert told(tmp_path / name, text, {"OPENAI_API_KEY": "k"}) == [line]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"none\.toml: cannot be read: No such file or directory; check the path"
    ):
        load({}, tmp_path / "none.toml", {"OPENAI_API_KEY": "k"}, None)


def test_a_broken_env_file_names_the_line(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("OPENAI_API_KEY=k\nthis is nothing\n")
    with pytest.raises(ConfigurationError) as error:
        load({}, None, {"OPENAI_API_KEY": "k"}, dotenv)
    assert str(error.value) == f"line 2 in {dotenv}: is no variable; write NAME=value, or # before a comment"


def test_no_provider_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError) as error:
        load({}, None, {}, None)
    (problem,) = error.value.problems
    assert isinstance(problem, NoProvider)
    assert str(problem) == (
        "providers: no provider is configured; set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or another "
        "provider's key in the environment, or name a file with --config that has a [providers.NAME] section; "
        "`tallygate demo` needs neither"
    )


def test_port_0_of_both_listeners_is_no_clash() -> None:
    settings = load({"server.port": 0}, None, {"OPENAI_API_KEY": "k", "TALLYGATE_METRICS__LISTENER__PORT": "0"}, None)
    assert isinstance(settings, Settings)
    assert settings.metrics.listener is not None
    assert settings.metrics.listener.port == 0
