"""Where a metrics page is, as people write it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import quote, urljoin, urlsplit

from tallygate.scraping.plain import plain

PORTS = {"http": 80, "https": 443}
PATH = "/metrics"
"""Where the metrics are unless an address says otherwise."""
UNRESERVED = "/%:@!$&'()*+,;=?~-._[]"


class AddressError(ValueError):
    """What was given is no address; says what would be one."""

    def __init__(self, given: str, problem: str) -> None:
        super().__init__(f"{plain(given)}: {problem}; write it as in http://127.0.0.1:4000/metrics")


@dataclass(frozen=True)
class Address:
    """An http or https URL, in parts that can be asked for."""

    scheme: str
    host: str
    port: int
    target: str
    """Path and query, as a request's line has them."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def place(self) -> str:
        """Host and port, as a Host header has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return (self.scheme, self.host, self.port)

    def at(self, path: str) -> Address:
        """Another path of the same server; the query stays."""
        _, mark, query = self.target.partition("?")
        return replace(self, target=path + mark + query)

    def joined(self, location: str) -> Address:
        """Where a redirect points. Raises AddressError."""
        try:
            there = urljoin(str(self), location)
        except ValueError as problem:
            raise AddressError(location, str(problem)) from None
        return address(there, path="/")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}{self.target}"


def address(given: str, path: str = PATH) -> Address:
    """What a URL, or a host and port, says; ``path`` where it has none. Raises AddressError."""
    text = given.strip()
    if not text or any(character.isspace() or not character.isprintable() for character in text):
        raise AddressError(given, "is no address")
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port
    except ValueError as problem:
        raise AddressError(given, str(problem)) from None
    if parts.scheme not in PORTS:
        raise AddressError(given, f"{parts.scheme} is not spoken here, only http and https are")
    if parts.username is not None or parts.password is not None:
        raise AddressError("(hidden)", "has a user or password in it, which would be shown; use --key-file instead")
    if not parts.hostname:
        raise AddressError(given, "names no host")
    try:
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
    except UnicodeError:
        raise AddressError(given, "its host cannot be a name") from None
    target = quote(parts.path if parts.path not in ("", "/") else path, safe=UNRESERVED)
    if parts.query:
        target += "?" + quote(parts.query, safe=UNRESERVED)
    return Address(parts.scheme, host, PORTS[parts.scheme] if port is None else port, target)
