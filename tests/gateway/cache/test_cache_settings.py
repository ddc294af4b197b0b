"""Settings of the cache: what is wrong with them is said before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallygate.gateway.routes import LLM_PATHS
from tallygate.gateway.settings import load
from tests.gateway.test_settings_problems import PROVIDER, told


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            'store = "shared"',
            'cache.store in FILE: "shared": there is no shared store; set shared.url to a Redis or Valkey, '
            "or use 'memory'",
        ),
        (
            'routes = ["/v1/embedings"]',
            "cache.routes in FILE: no path to models is called '/v1/embedings'; did you mean '/v1/embeddings'?",
        ),
        (
            'routes = ["/v1/models"]',
            "cache.routes in FILE: no path to models is called '/v1/models'; did you mean '/v1/messages'?",
        ),
        (
            'headers = ["X Project"]',
            "cache.headers in FILE: 'X Project' is no name of an HTTP header; use letters, digits and hyphens",
        ),
        (
            "time_to_live_seconds = 10\ntime_to_idle_seconds = 60",
            "cache.time_to_idle_seconds in FILE: 60: is longer than cache.time_to_live_seconds, which ends first; "
            "unset it",
        ),
        ("time_to_live_seconds = 0", "cache.time_to_live_seconds in FILE: 0: must be above 0; the default is 3600"),
        ('by_header = "perhaps"', None),
        ('scope = "team"', None),
    ],
)
def test_one_mistake_gives_one_line(tmp_path: Path, text: str, line: str | None) -> None:
    (said,) = told(tmp_path / "gateway.toml", f"[cache]\n{text}\n{PROVIDER}")
    if line is None:
        assert said.startswith(f"cache.{text.partition(' ')[0]} in FILE: {text.partition(' = ')[2]}: ")
    else:
        assert said == line


def test_every_path_to_a_model_may_be_cached() -> None:
    environ = {"TALLYGATE_CACHE__ROUTES": ",".join(LLM_PATHS), "OPENAI_API_KEY": "k"}
    assert load({}, None, environ, None).cache.routes == LLM_PATHS
    assert "/v1beta/models/{model}:streamGenerateContent" in LLM_PATHS
    assert "/v1/models/{model}:generateContent" in LLM_PATHS
