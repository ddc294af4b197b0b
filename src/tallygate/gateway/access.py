"""Who may call: the master key, and the scrapers' own secret."""

import hmac
from collections.abc import Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

from tallygate.errors import ErrorType
from tallygate.gateway.refusal import Refusal

Scope = MutableMapping[str, Any]

KEY_HEADERS = (b"authorization", b"x-api-key", b"x-goog-api-key", b"api-key")
"""Where the SDKs of OpenAI, Anthropic, Gemini and Azure put their key."""

MISSING = "missing API key: send 'Authorization: Bearer <key>' or 'x-api-key: <key>'"
MALFORMED = "invalid authorization header format, expected 'Bearer <token>'"
WRONG = "invalid API key"


class Access:
    """Compares what a request presents with the configured keys, in constant time. Admins may read the metrics too."""

    def __init__(
        self, master_key: str | None, metrics_secret: str | None, admin_key: str | None = None, *, closed: bool = False
    ) -> None:
        """closed: without any of these nobody may read the metrics, rather than everybody."""
        self._master_key = master_key.encode() if master_key else None
        scrapers = (metrics_secret, master_key, admin_key)
        self._scrape_keys = tuple(key.encode() for key in scrapers if key)
        self._closed = closed

    def check(self, headers: dict[bytes, bytes], query: bytes) -> None:
        """Let a request pass or raise Refusal(401). Gemini's clients may put the key into the query."""
        if self._master_key is not None and not self.is_master(presented_key(headers, query)):
            raise Refusal(401, ErrorType.CALLER_AUTHENTICATION, WRONG)

    def is_master(self, presented: bytes) -> bool:
        """Whether this is the master key."""
        return self._master_key is not None and hmac.compare_digest(presented, self._master_key)

    def scraping(self, scope: Scope, headers: dict[bytes, bytes]) -> Scope:
        """The request of a scraper: one that shows its key as callers may, as ``x-api-key``, shows a bearer token."""
        key = headers.get(b"x-api-key")
        if not key or b"authorization" in headers or not self._scrape_keys:
            return scope
        return {**scope, "headers": [*scope["headers"], (b"authorization", b"Bearer " + key)]}

    @property
    def scrape_check(self) -> Callable[[str | None], bool] | None:
        """Whether an Authorization header may read the metrics; None when everybody may."""
        return self._may_scrape if self._scrape_keys or self._closed else None

    def _may_scrape(self, authorization: str | None) -> bool:
        scheme, _, token = (authorization or "").partition(" ")
        presented = token.strip().encode("utf-8", "replace") if scheme.lower() == "bearer" else b""
        # Every key is compared, whichever matches: the time tells nothing.
        matches = [hmac.compare_digest(presented, key) for key in self._scrape_keys]
        return any(matches)


def presented_key(headers: dict[bytes, bytes], query: bytes) -> bytes:
    """The key a request carries. Raises Refusal(401) when there is none or it cannot be read."""
    for name in KEY_HEADERS:
        value = headers.get(name)
        if not value:
            continue
        if name != b"authorization":
            return value.strip()
        scheme, _, token = value.partition(b" ")
        if scheme.lower() != b"bearer" or not token.strip():
            raise Refusal(401, ErrorType.CALLER_AUTHENTICATION, MALFORMED)
        return token.strip()
    # By hand: to take a long query apart by the book costs a stranger nothing, and the gateway 60 ms.
    for part in query.split(b"&"):
        if part.startswith(b"key=") and len(part) > 4:
            return unquote_to_bytes(part[4:].replace(b"+", b" "))
    raise Refusal(401, ErrorType.CALLER_AUTHENTICATION, MISSING)
