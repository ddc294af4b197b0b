"""The address of the database: which are taken, what is said of others, and that no password is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallygate.gateway.settings import ConfigurationError, Settings, load, masked, secrets
from tallygate.gateway.settings.addresses import SecretURL, without_password

VARIABLE = "TALLYGATE_ACCOUNTS__DATABASE_URL"


def settings_of(url: str) -> Settings:
    return load({}, None, {VARIABLE: url, "OPENAI_API_KEY": "sk-of-openai"}, None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("sqlite:///accounts.db", "sqlite:///accounts.db"),
        ("sqlite:////var/lib/a.db", "sqlite:////var/lib/a.db"),
        ("sqlite+aiosqlite:///a.db", "sqlite:///a.db"),
        (" postgres://u@h/db ", "postgresql://u@h/db"),
        ("postgresql+asyncpg://u:p@h:5433/db", "postgresql://u:p@h:5433/db"),
        ("postgresql://u@h/db?sslmode=verify-full", "postgresql://u@h/db?sslmode=verify-full"),
        ("postgresql://u@/db?host=/run/postgresql&port=5433", "postgresql://u@/db?host=/run/postgresql&port=5433"),
    ],
)
def test_addresses_under_one_spelling(written: str, meant: str) -> None:
    assert settings_of(written).accounts.url.get_secret_value() == meant


def test_without_an_address_it_is_a_file_here() -> None:
    assert load({}, None, {"OPENAI_API_KEY": "k"}, None).accounts.url.get_secret_value() == "sqlite:///tallygate.db"


MEND = "write postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("accounts.db", f"is no URL of a database; {MEND}"),
        ("mysql://u:hunter2@h/db", f"is no URL of a database; {MEND}"),
        ("sqlite://", "names no file; write sqlite:///FILE, or sqlite:////DIRECTORY/FILE from the root"),
        ("sqlite:///:memory:", "names no file; write sqlite:///FILE, or sqlite:////DIRECTORY/FILE from the root"),
        ("sqlite:///a.db?mode=ro", "names no file; write sqlite:///FILE, or sqlite:////DIRECTORY/FILE from the root"),
        (
            "postgresql://u:hunter2@h",
            "names no database; end it with /NAME, as in postgresql://USER:PASSWORD@HOST/NAME",
        ),
        ("postgresql:///db", "names no host; write postgresql://USER:PASSWORD@HOST/NAME"),
        ("postgresql://u:hunter2@h/db?ssl=1", "has the unknown option 'ssl'; known are host, port, sslmode"),
        (
            "postgresql://u:hunter2@h/db?sslmode=yes",
            "has the unknown sslmode 'yes'; known are disable, allow, prefer, require, verify-ca, verify-full",
        ),
        ("postgresql://u:hunter2@h/db?host=/a&port=x", "has the port 'x'; write a number"),
        (
            "postgresql://u:hunter2@h:port/db",
            "is no URL; write postgresql://USER:PASSWORD@HOST:PORT/NAME, signs in the password as %XX",
        ),
        ("postgresql://u:p@h/db#x", "has a #; write the signs of a password as %XX: # is %23"),
    ],
)
def test_what_is_no_address(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        settings_of(url)
    assert str(raised.value) == f"environment variable {VARIABLE}: {said}"
    assert "hunter2" not in str(raised.value)


def test_the_password_alone_is_masked(tmp_path: Path) -> None:
    file = tmp_path / "url"
    file.write_text("postgresql://ada:hunter2%21@db.example.com/tallygate\n")
    environ = {f"{VARIABLE}_FILE": str(file), "OPENAI_API_KEY": "sk-of-openai"}
    settings = load({}, None, environ, None)
    shown = masked(settings)["accounts"]["database_url"]
    assert shown == "postgresql://ada:********@db.example.com/tallygate"
    assert {"hunter2%21", "hunter2!"} < set(secrets(settings))
    assert "hunter2" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@given(st.text(max_size=40), st.text(min_size=1, max_size=40))
def test_no_password_gets_through(user: str, password: str) -> None:
    """Whatever signs it is made of, as far as a URL can hold them."""
    from urllib.parse import quote

    url = f"postgresql://{quote(user, safe='')}:{quote(password, safe='')}@host/name"
    assert without_password(url) == f"postgresql://{quote(user, safe='')}:********@host/name"
    assert password in SecretURL(url).passwords
