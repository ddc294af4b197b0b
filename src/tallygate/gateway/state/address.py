"""Where a Redis or Valkey server is, from its URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

PORT = 6379


class AddressError(ValueError):
    """The URL is none of a Redis server; the message never holds the password. ``mend`` says what would do."""

    def __init__(self, problem: str, mend: str) -> None:
        super().__init__(f"{problem}; {mend}")
        self.problem, self.mend = problem, mend


@dataclass(frozen=True, slots=True)
class Address:
    """A server and a database on it."""

    host: str = ""
    port: int = PORT
    path: str = ""
    """Of the server's socket file; '' for one that is reached over the network."""
    tls: bool = False
    authorities: str | None = None
    """A file with the certificates to trust; None: those of the system."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    database: int = 0

    def __str__(self) -> str:
        """Where it is, without who asks."""
        place = self.path or f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"
        return f"{'unix' if self.path else 'rediss' if self.tls else 'redis'}://{place}/{self.database}"


def address_of(url: str) -> Address:
    """Read ``redis://``, ``rediss://`` or ``unix://``. Raises AddressError."""
    example = "write it as in redis://USER:PASSWORD@HOST:6379/0, rediss:// for TLS"
    try:
        parts = urlsplit(url.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise AddressError("is no URL", example) from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise AddressError("is no redis, rediss or unix URL", example)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    path, number = "", parts.path.strip("/")
    if parts.scheme == "unix":
        path, number = unquote(parts.path), options.pop("db", "")
        if not path or host:
            raise AddressError("names no socket file", "write it as in unix:///run/redis.sock?db=0")
    elif not host or port == 0:
        raise AddressError("names no host", example)
    authorities = options.pop("ssl_ca_certs", None) if parts.scheme == "rediss" else None
    if options:
        known = "ssl_ca_certs for rediss://, db for unix://"
        raise AddressError(f"has the unknown option {next(iter(options))!r}", f"remove it; known are {known}")
    if number and not (number.isascii() and number.isdigit()):
        raise AddressError("has a database that is no number", example)
    return Address(
        host,
        port or PORT,
        path,
        parts.scheme == "rediss",
        authorities or None,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password is not None else None,
        int(number or 0),
    )
