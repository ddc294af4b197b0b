"""What is wrong with models of several deployments is told at the start, with its place and its mend."""

from pathlib import Path

import pytest

from tallygate.gateway.settings import ConfigurationError, load

PROVIDERS = """
[providers.one]
base_url = "http://127.0.0.1:1/v1"
models = ["gpt-4o", { name = "gpt-4o-mini", aliases = ["mini"] }]
[providers.two]
base_url = "http://127.0.0.1:2/v1"
[providers.claude]
kind = "anthropic"
models = ["haiku"]
"""

WRONG = {
    '[models.m]\ndeployments = [{ provider = "tow", model = "x" }]': (
        "models.m.deployments[0].provider in FILE: \"tow\": no provider has this name; did you mean 'two'?"
    ),
    '[models.m]\ndeployments = [{ provider = "one" }]': (
        "models.m.deployments[0] in FILE: the provider 'one' has no model 'm'; say with `model` which of its models "
        "it is"
    ),
    '[models.m]\ndeployments = [{ provider = "two" }, { provider = "two", model = "m" }]': (
        "models.m.deployments[1] in FILE: the model 'm' of the provider 'two' is there twice; remove one, and give the "
        "other its weight"
    ),
    '[models.m]\ndeployments = [{ provider = "two", weight = 0 }]': (
        "models.m.deployments[0].weight in FILE: 0: must be at least 1; the default is 1"
    ),
    "[models.m]\ndeployments = []": "models.m.deployments in FILE: is empty; name at least one",
    '[models."one/x"]\ndeployments = [{ provider = "two" }]': (
        "models.\"one/x\" in FILE: the name hides a model of the provider 'one'; give the model another name"
    ),
    '[models.m]\ndeployments = [{ provider = "two" }]\nfallbacks = ["gpt-4omini"]': (
        "models.m.fallbacks in FILE: no provider serves 'gpt-4omini'; did you mean 'gpt-4o-mini'?"
    ),
    '[models.m]\ndeployments = [{ provider = "two" }]\nfallbacks = ["haiku"]': (
        "models.m.fallbacks in FILE: 'haiku' speaks none of the APIs of 'm'; name a model of providers of the same kind"
    ),
    '[models.m]\ndeployments = [{ provider = "two" }]\nfallbacks = ["m"]': (
        "models.m.fallbacks in FILE: goes round in circles: m -> m; let one of them fall back to no other"
    ),
    '[models.m]\ndeployments = [{ provider = "two" }]\nfallbacks = ["o"]\n'
    '[models.n]\ndeployments = [{ provider = "two" }]\nfallbacks = ["m"]\n'
    '[models.o]\ndeployments = [{ provider = "two" }]\nfallbacks = ["way"]\n[aliases]\nway = "n"': (
        "models.m.fallbacks in FILE: goes round in circles: m -> o -> n -> m; let one of them fall back to no other"
    ),
    '[models.m]\ndeployments = [{ provider = "two" }]\n[aliases]\nm = "mini"': (
        "aliases.m in FILE: \"mini\": the alias shadows the model 'm'; give the alias another name"
    ),
    '[failover]\nstatuses = ["5xx", 200]': (
        "failover.statuses in FILE: '200' is no status of an error; write statuses such as 429, and 5xx for all of a "
        "kind"
    ),
    '[providers.three]\nbase_url = "http://127.0.0.1:3/v1"\nprobe_path = "ready"': (
        'providers.three.probe_path in FILE: "ready": is no path; begin with / and use printable ASCII, as in /health'
    ),
}


@pytest.mark.parametrize("text", WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_told_with_its_mend(tmp_path: Path, text: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(PROVIDERS + text)
    with pytest.raises(ConfigurationError) as caught:
        load({}, file, {}, None)
    assert str(caught.value).replace(str(file), "FILE") == WRONG[text]


def test_what_is_right(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(
        PROVIDERS
        + """
[models.m]
deployments = [
    { provider = "one", model = "mini", weight = 3 },
    { provider = "two" },
    { provider = "two", model = "other", priority = 2 },
]
fallbacks = ["gpt-4o", "two/anything", "other-name", "way"]
[models.other-name]
deployments = [{ provider = "two" }]
[aliases]
way = "m2"
[models.m2]
deployments = [{ provider = "two" }]
[failover]
statuses = "429, 5xx"
retries = 2
"""
    )
    settings = load({}, file, {}, None)
    places = settings.models["m"].deployments
    assert [(one.provider, one.model, one.weight, one.priority) for one in places] == [
        ("one", "mini", 3, 1),
        ("two", None, 1, 1),
        ("two", "other", 1, 2),
    ]
    assert settings.failover.statuses == ("429", "5xx")
