"""What docs/failover.md says of metrics, settings and turns is so."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

from tallygate.dialects import DIALECTS
from tallygate.gateway.settings.failover import FailoverSettings
from tallygate.simulator import Simulator
from tests.docs.pages import ROOT, written_in
from tests.gateway.apis import APIS
from tests.gateway.running import ask, gateway

PAGE = (ROOT / "docs" / "failover.md").read_text()
CHAT = APIS[0]


def test_the_metrics_have_the_labels_of_the_page() -> None:
    families = {family.name: family for family in DIALECTS["tallygate"]}
    rows = re.findall(r"^\| (`tallygate_[^|]+) \| ([^|]*) \|", PAGE, re.MULTILINE)
    assert len(rows) == 9
    for names, labels in rows:
        for name in re.findall(r"`(\w+)[`{]", names):
            shown = [label.name for label in families[name].by]  # type: ignore[union-attr]  # none has custom labels
            assert [f"`{label}`" for label in shown] == re.findall(r"`\w+`", labels), name


def test_the_defaults_are_those_of_the_settings() -> None:
    told = dict(re.findall(r"`(?:failover\.)?(\w+)`\s\((\d+(?:\.\d+)?)(?: KiB)?\)", PAGE))
    told |= dict(re.findall(r"\(`(\w+)`, (\d+)", PAGE))
    fields = FailoverSettings.model_fields
    assert {"attempts", "backoff_seconds", "breaker_failures", "cooldown_seconds", "probe_seconds"} <= told.keys()
    assert {name: float(value) for name, value in told.items()} == {name: fields[name].default for name in told}


def test_the_queries_can_be_asked(tmp_path: Path) -> None:
    queries = re.findall(r"^\| [^|`]+ \| `([^`|]+)` \|$", PAGE, re.MULTILINE)
    assert len(queries) == 3
    rules = {"groups": [{"name": "page", "rules": [{"alert": "Page", "expr": query} for query in queries]}]}
    file = tmp_path / "rules.json"
    file.write_text(json.dumps(rules))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_the_example_is_served_as_the_page_says() -> None:
    """Three turns of four are OpenAI's; then Azure's second region; then the smaller model."""
    (snippet,) = [snippet for snippet in written_in("toml") if snippet.page == "docs/failover.md"]
    settings = tomllib.loads(snippet.text)
    async with Simulator() as openai, Simulator() as azure:
        settings["providers"]["openai"] |= {"base_url": f"{openai.url}/v1", "api_key": "key-of-openai"}
        settings["providers"]["azure"] |= {"base_url": azure.url, "api_key": "key-of-azure"}
        body = CHAT.body("gpt-4o", False)
        async with gateway(settings) as running:

            async def served() -> tuple[str, str]:
                answer = await ask(running.url + CHAT.path("", False), body)
                return answer.headers["x-tallygate-provider"], answer.headers["x-tallygate-model"]

            assert [(await served())[0] for _ in range(4)] == ["openai", "openai", "azure", "openai"]
            one, two, other = running.app._parts.router.target("gpt-4o", "openai", "").places
            now = running.app._parts.failover.clock()
            one.deployment.cool_down(now + 1000)
            assert await served() == ("azure", "gpt-4o-eu")
            two.deployment.cool_down(now + 1000)
            assert await served() == ("azure", "gpt-4o-us")
            other.deployment.cool_down(now + 1000)
            assert await served() == ("openai", "gpt-4o-mini")
