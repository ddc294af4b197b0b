"""Under which key an answer is kept: a digest of everything that makes it the answer to this request."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from cachetools import LRUCache

from tallygate.gateway.cache.normal import normal_form
from tallygate.gateway.providers import CREDENTIAL_HEADERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tallygate.gateway.exchange import Exchange

FAMILIES = (b"anthropic-", b"openai-", b"x-goog-", b"x-ms-")
"""Request headers of providers: they choose features, versions, projects."""
UNIMPORTANT = frozenset(
    {
        b"x-goog-api-client", b"x-goog-api-key", b"x-ms-client-request-id", b"x-ms-correlation-request-id",
        b"x-ms-useragent",
    }
)  # fmt: skip
"""Those of them that tell who asks, and not what."""
ALWAYS = frozenset({b"accept"})
"""Headers that choose the form of any answer; what may be compressed is told apart by what the provider is offered."""

STATEFUL = ("background", "container", "conversation")
"""Members of requests with which the provider does more than answer, or answers from what happened before."""

FORMS_AT_HAND = 4096
"""Bodies of which the normal form is known without making it anew; each takes some 400 bytes."""


class Keys:
    """Makes keys."""

    def __init__(self, more_headers: Iterable[str], per_user: bool) -> None:
        """more_headers: that make a difference, too. per_user: whether users' answers are kept apart."""
        self._headers = ALWAYS.union(name.lower().encode() for name in more_headers)
        self._per_user = per_user
        self._forms: LRUCache[bytes, bytes] = LRUCache(FORMS_AT_HAND)
        """Digests of normal forms, by those of bodies."""

    def of(self, exchange: Exchange, accept_encoding: bytes, forwards_credentials: bool) -> bytes:
        """The key of the answer to this request. Raises Unfit when it must not be kept.

        accept_encoding: the codings that the provider may use. forwards_credentials: whether the caller's own key goes
        on to a provider for which the gateway has none: then nobody else may have the answer.
        """
        target, route, caller = exchange.target, exchange.route, exchange.caller
        assert target is not None
        assert route.wire is not None
        deployments = [place.deployment for place in target.places]
        query: bytes = exchange.scope["query_string"]
        for_caller_only = forwards_credentials and not all(one.provider.has_key for one in deployments)
        headers = sorted(
            [
                header
                for header in exchange.scope["headers"]
                if (name := header[0]) in self._headers
                or (name.startswith(FAMILIES) and name not in UNIMPORTANT)
                or (for_caller_only and name in CREDENTIAL_HEADERS)
            ]
        )
        # As Python writes them, so that no text can pass for another part of the whole.
        parts = ascii(
            (
                caller.user_id if caller is not None and self._per_user else "",
                route.template,
                route.wire.name,
                # Names may stand for something else in the settings of another gateway: what counts is where they lead.
                sorted(
                    [
                        (one.provider.url(route, one.model, query, keep_credentials=forwards_credentials), one.model)
                        for one in deployments
                    ]
                ),
                accept_encoding,
                headers,
            )
        )
        return sha256(self._form(exchange.body) + parts.encode()).digest()

    def _form(self, body: bytes) -> bytes:
        """The digest of the normal form of this body. Raises Unfit."""
        digest = sha256(body).digest()
        form = self._forms.get(digest)
        if form is None:
            form = self._forms[digest] = sha256(normal_form(body, STATEFUL).encode()).digest()
        return form
