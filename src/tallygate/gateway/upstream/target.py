"""Where a URL leads: the origin to connect to and the first lines of a request to it."""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit


class Address(NamedTuple):
    """An origin: connections are shared by all requests to it."""

    secure: bool
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL, taken apart."""

    address: Address
    opening: bytes
    """All of the request's first lines but the method: `` /path?query HTTP/1.1``, then the Host line."""


@lru_cache(maxsize=1024)
def target_of(url: str) -> Target:
    """Take a URL apart. Raises ValueError when it is no http or https URL that can be called as it stands."""
    # Secrets may stand in a query, so messages never show the URL.
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("the URL of a provider must be printable ASCII without spaces: percent-encode the rest")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the URL of a provider must begin with http:// or https://, not {parts.scheme[:20]!r}")
    if not parts.hostname:
        raise ValueError("the URL of a provider names no host")
    if "@" in parts.netloc:
        raise ValueError("the URL of a provider must not carry a user name or password: send them as a header")
    secure = parts.scheme == "https"
    address = Address(secure, parts.hostname, parts.port or (443 if secure else 80))
    path = parts.path or "/"
    line = f"{path}?{parts.query}" if parts.query else path
    host = f"[{address.host}]" if ":" in address.host else address.host
    if parts.port is not None and parts.port != (443 if secure else 80):
        host = f"{host}:{parts.port}"
    return Target(address, f" {line} HTTP/1.1\r\nhost: {host}\r\n".encode())
