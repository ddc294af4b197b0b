"""Addresses that carry a password: shown and logged without it."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import AfterValidator, SecretStr

from tallygate.gateway.settings.kinds import wrong
from tallygate.gateway.settings.problems import MASK
from tallygate.gateway.state.address import AddressError, address_of

_DATABASE_KINDS = {
    "sqlite": "sqlite",
    "sqlite+aiosqlite": "sqlite",
    "postgresql": "postgresql",
    "postgres": "postgresql",
    "postgresql+asyncpg": "postgresql",
}
"""Schemes that people write, and the one that is meant."""
DATABASE_OPTIONS = ("host", "port", "sslmode")
"""What may stand in the query of a PostgreSQL URL."""
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_PASSWORD = re.compile(r"(?<=://)(?P<user>[^/?#]*?):(?P<password>[^/?#]*)(?=@)")


class SecretURL(SecretStr):
    """A URL of which all but the password may be shown."""

    @property
    def shown(self) -> str:
        """The URL with its password masked."""
        return without_password(self.get_secret_value())

    @property
    def passwords(self) -> frozenset[str]:
        """The password as it is written, and as it is meant; none without one."""
        found = _PASSWORD.search(self.get_secret_value())
        return frozenset({found["password"], unquote(found["password"])} if found and found["password"] else ())


def without_password(url: str) -> str:
    """A URL with its password masked."""
    return _PASSWORD.sub(lambda found: f"{found['user']}:{MASK}", url)


def _database_url(value: SecretURL) -> SecretURL:
    text = value.get_secret_value().strip()
    scheme, separator, rest = text.partition("://")
    kind = _DATABASE_KINDS.get(scheme.lower())
    if not separator or kind is None:
        raise wrong("is no URL of a database", "write postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE")
    if kind == "sqlite":
        file = rest.removeprefix("/")
        if not rest.startswith("/") or not file or "?" in file or ":memory:" in file:
            raise wrong("names no file", "write sqlite:///FILE, or sqlite:////DIRECTORY/FILE from the root")
        return SecretURL(f"sqlite:///{file}")
    try:
        parts = urlsplit(f"{kind}://{rest}")
        _ = parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise wrong(
            "is no URL", "write postgresql://USER:PASSWORD@HOST:PORT/NAME, signs in the password as %XX"
        ) from None
    for name, option in options.items():
        if name not in DATABASE_OPTIONS:
            raise wrong(f"has the unknown option {name!r}", f"known are {', '.join(DATABASE_OPTIONS)}")
        if name == "sslmode" and option not in SSL_MODES:
            raise wrong(f"has the unknown sslmode {option!r}", f"known are {', '.join(SSL_MODES)}")
        if name == "port" and not option.isdecimal():
            raise wrong(f"has the port {option!r}", "write a number")
    if not unquote(parts.path).strip("/"):
        raise wrong("names no database", "end it with /NAME, as in postgresql://USER:PASSWORD@HOST/NAME")
    if not parts.hostname and "host" not in options:
        raise wrong("names no host", "write postgresql://USER:PASSWORD@HOST/NAME")
    if parts.fragment:
        raise wrong("has a #", "write the signs of a password as %XX: # is %23")
    return SecretURL(f"{kind}://{rest}")


DatabaseURL = Annotated[SecretURL, AfterValidator(_database_url)]
"""``sqlite:///FILE`` or ``postgresql://...``, under one spelling."""


def _shared_url(value: SecretURL) -> SecretURL:
    text = value.get_secret_value().strip()
    try:
        address_of(text)
    except AddressError as error:
        raise wrong(error.problem, error.mend) from None
    return SecretURL(text)


SharedURL = Annotated[SecretURL, AfterValidator(_shared_url)]
"""``redis://``, ``rediss://`` (TLS) or ``unix://``."""
