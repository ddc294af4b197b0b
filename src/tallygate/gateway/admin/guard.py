"""The admin key: compared in constant time; wrong ones are counted and logged."""

from __future__ import annotations

import hmac
from time import monotonic

import structlog

from tallygate.gateway.access import presented_key
from tallygate.gateway.admin.problems import Refused
from tallygate.gateway.exchange import Scope
from tallygate.gateway.refusal import Refusal

log = structlog.get_logger("tallygate.gateway")

LOG_SECONDS = 1.0
"""Seconds between two lines about wrong keys: whoever tries many fills no disk."""

CHALLENGE = [(b"www-authenticate", b'Bearer realm="tallygate admin"')]


class Guard:
    """Lets the admin key in.

    Nothing slows down wrong ones: to keep whoever tries many waiting would keep the owner waiting, too, or tell the
    right key by its quick answer. What protects the key is its length, for which the settings ask.
    """

    def __init__(self, key: str) -> None:
        self._key = key.encode()
        self._wrong = 0
        self._logged_at = -LOG_SECONDS

    def check(self, scope: Scope, headers: dict[bytes, bytes]) -> None:
        """Raises Refused(401)."""
        try:
            # In a header only: what is in a URL ends up in logs and histories.
            presented = presented_key(headers, b"")
        except Refusal as refusal:
            raise Refused(401, refusal.message, mend="send the admin key", headers=CHALLENGE) from None
        if hmac.compare_digest(presented, self._key):
            return
        self._wrong += 1
        if (now := monotonic()) - self._logged_at >= LOG_SECONDS:
            client = scope.get("client")
            log.warning("wrong admin key", client=client[0] if client else "", times=self._wrong)
            self._wrong, self._logged_at = 0, now
        raise Refused(401, "invalid admin key", mend="send the key of accounts.admin_key", headers=CHALLENGE)
