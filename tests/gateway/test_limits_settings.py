"""Wrong settings of limits and of their store, and what is said of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallygate.gateway.settings import Settings, load, masked
from tests.gateway.test_settings_problems import PROVIDER, told


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "[rates.key]\nrequests_per_minute = 5",
            "rates.key in FILE: there are no keys to limit; set accounts.enabled, or limit models",
        ),
        (
            "[rates.user]\nconcurrency = 5",
            "rates.user in FILE: there are no users to limit; set accounts.enabled, or limit models",
        ),
        (
            "[rates.providers.locale]\nconcurrency = 5",
            "rates.providers.locale in FILE: no provider has this name; did you mean 'local'?",
        ),
        (
            "[rates.models.c]\nconcurrency = 5",
            "rates.models.c in FILE: no provider serves this model; known are a, b",
        ),
        (
            "[rates.models.a]\nconcurrency = 0",
            "rates.models.a.concurrency in FILE: 0: must be at least 1; leave it out when there is none",
        ),
        (
            f"[rates.models.{'x' * 300}]\nconcurrency = 5",
            f"rates.models.{'x' * 300} in FILE: the name is longer than 256 bytes; no model has it",
        ),
        (
            '[shared]\nurl = "http://cache"',
            "shared.url in FILE: is no redis, rediss or unix URL; "
            "write it as in redis://USER:PASSWORD@HOST:6379/0, rediss:// for TLS",
        ),
        (
            '[shared]\nurl = "redis://:geheim@cache/x"',
            "shared.url in FILE: has a database that is no number; "
            "write it as in redis://USER:PASSWORD@HOST:6379/0, rediss:// for TLS",
        ),
        (
            '[shared]\nwhen_away = "ajar"',
            'shared.when_away in FILE: "ajar": is none of open, closed; use one of these',
        ),
    ],
)
def test_what_is_wrong(tmp_path: Path, text: str, line: str) -> None:
    (said,) = told(tmp_path / "settings.toml", PROVIDER + text)
    assert said == line
    assert "geheim" not in said


def test_what_may_be(tmp_path: Path) -> None:
    text = PROVIDER + (
        '[aliases]\nbest = "a"\n[rates.models.best]\nconcurrency = 5\n[rates.models.b]\ntokens_per_minute = 100\n'
        '[rates.providers.local]\nrequests_per_minute = 7\n[shared]\nurl = "rediss://me:geheim@cache:7000/2"\n'
    )
    (tmp_path / "settings.toml").write_text(text)
    settings: Settings = load({}, tmp_path / "settings.toml", {}, None)
    assert settings.rates.models["best"].concurrency == 5
    assert "geheim" not in str(masked(settings))
    assert settings.shared.url is not None
    assert settings.shared.url.get_secret_value() == "rediss://me:geheim@cache:7000/2"
