"""Who may see the live page: a key, and then a signed cookie."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import urlsplit

COOKIE = "tallygate_dashboard"


class Sessions:
    """Lets in who knows one of the keys, and knows them again.

    A cookie says until when it is good, and is signed with a key derived from the configured ones: any worker takes it,
    a restart keeps it, and with another key it is worth nothing.
    """

    def __init__(self, keys: Sequence[str], seconds: float, path: str) -> None:
        """keys: any of them opens. seconds: how long a cookie is good. path: of the page, and of its cookie."""
        self._keys = tuple(key.encode() for key in keys)
        self._seconds, self._path = seconds, path
        secret = hashlib.sha256(b"".join(hashlib.sha256(key).digest() for key in self._keys)).digest()
        self._signer = hmac.digest(secret, b"tallygate dashboard session 1", "sha256")

    @property
    def possible(self) -> bool:
        """Whether there is a key at all."""
        return bool(self._keys)

    def opens(self, key: str) -> bool:
        """Whether this is one of the keys; the time it takes tells nothing."""
        presented = key.strip().encode("utf-8", "replace")
        matches = [hmac.compare_digest(presented, known) for known in self._keys]
        return any(matches)

    def begin(self, now: float, *, secure: bool) -> bytes:
        """The Set-Cookie header of a new session."""
        until = int(now + self._seconds)
        return self._cookie(f"{until}.{self._signature(until)}", int(self._seconds), secure)

    def end(self, *, secure: bool) -> bytes:
        """The Set-Cookie header that takes a session away."""
        return self._cookie("", 0, secure)

    def until(self, headers: dict[bytes, bytes], now: float) -> float | None:
        """When the session of a request ends; None when it has none, or one that is over or not ours."""
        for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
            name, _, value = part.strip().partition("=")
            if name != COOKIE:
                continue
            text, _, signature = value.partition(".")
            if not (text.isascii() and text.isdecimal()) or len(text) > 15:
                continue
            if (
                hmac.compare_digest(signature.encode("latin-1"), self._signature(int(text)).encode())
                and int(text) > now
            ):
                return float(text)
        return None

    def _signature(self, until: int) -> str:
        return hmac.digest(self._signer, str(until).encode(), "sha256").hex()

    def _cookie(self, value: str, seconds: int, secure: bool) -> bytes:
        parts = [f"{COOKIE}={value}", f"Path={self._path}", f"Max-Age={seconds}", "HttpOnly", "SameSite=Strict"]
        return "; ".join([*parts, "Secure"] if secure else parts).encode()


def same_site(headers: dict[bytes, bytes]) -> bool:
    """Whether a browser says that this request comes from our own page. Who says nothing is no browser of ours."""
    fetched = headers.get(b"sec-fetch-site")
    if fetched is not None:
        return fetched == b"same-origin"
    origin, host = headers.get(b"origin"), headers.get(b"host")
    if not origin or not host:
        return False
    try:
        return urlsplit(origin.decode("latin-1")).netloc == host.decode("latin-1").lower()
    except ValueError:
        return False
