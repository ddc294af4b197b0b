"""Under which key an answer is kept: a digest of everything that makes it the answer to this request."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING

from tallygate.gateway.cache.normal import Unfit, normal_form
from tallygate.gateway.providers import CREDENTIAL_HEADERS, without_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tallygate.gateway.exchange import Exchange

FAMILIES = (b"anthropic-", b"openai-", b"x-goog-", b"x-ms-")
"""Request headers of providers: they choose features, versions, projects."""
UNIMPORTANT = frozenset({b"x-goog-api-client", b"x-goog-api-key", b"x-ms-client-request-id"})
"""Those of them that tell who asks, and not what."""
ALWAYS = frozenset({b"accept"})

STATEFUL = ("background", "container", "conversation")
"""Members of requests with which the provider does more than answer, or answers from what happened before."""


class Keys:
    """Makes keys."""

    def __init__(self, more_headers: Iterable[str], per_user: bool) -> None:
        """more_headers: that make a difference, too. per_user: whether users' answers are kept apart."""
        self._headers = ALWAYS.union(name.lower().encode() for name in more_headers)
        self._per_user = per_user

    def of(self, exchange: Exchange, accept_encoding: bytes, keeps_credentials: bool) -> bytes:
        """The key of the answer to this request. Raises Unfit when it must not be kept.

        accept_encoding: the codings that the provider may use. keeps_credentials: whether the caller's own key goes on
        to the provider: then nobody else may have the answer.
        """
        deployment, route, caller = exchange.deployment, exchange.route, exchange.caller
        assert deployment is not None
        assert route.wire is not None
        form = normal_form(exchange.body, STATEFUL)
        query: bytes = exchange.scope["query_string"]
        headers = sorted(
            (name.decode("latin-1"), value.decode("latin-1"))
            for name, value in exchange.scope["headers"]
            if name in self._headers
            or (name.startswith(FAMILIES) and name not in UNIMPORTANT)
            or (keeps_credentials and name in CREDENTIAL_HEADERS)
        )
        rest = (
            caller.user_id if caller is not None and self._per_user else "",
            route.template,
            route.wire.name,
            deployment.provider.name,
            deployment.model,
            query.decode("latin-1") if keeps_credentials else without_key(query),
            accept_encoding.decode("latin-1"),
            headers,
        )
        # Both are JSON in ASCII, so that no text can pass for another part of the whole.
        return sha256(f"{json.dumps(rest)}\n{form}".encode()).digest()


__all__ = ["Keys", "Unfit"]
