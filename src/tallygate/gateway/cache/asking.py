"""Who asks for the cache, and how: a header, the key's own setting, or the route's."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tallygate.errors import ErrorType
from tallygate.gateway.refusal import Refusal

if TYPE_CHECKING:
    from tallygate.gateway.exchange import Exchange

HEADER = b"x-tallygate-cache"
"""``use``, ``use; max-age=SECONDS``, ``refresh`` or ``off`` in a request; HIT, MISS, REFRESH or BYPASS in an answer."""

_FORM = re.compile(rb"[ \t]*(?:(use)(?:[ \t]*;[ \t]*max-age[ \t]*=[ \t]*([0-9]{1,9}))?|(refresh)|(off))[ \t]*\Z", re.I)


@dataclass(frozen=True, slots=True)
class Asked:
    """How a request wants the cache to be used."""

    looks: bool = True
    """Whether a kept answer will do; else a new one is fetched and kept."""
    max_age: int | None = None
    """Seconds; an older answer will not do."""
    allowed: bool = True
    """False: nobody but the request itself asks, and that is turned off."""


USE, REFRESH, NOT_ALLOWED = Asked(), Asked(looks=False), Asked(allowed=False)


class Asking:
    """Reads from a request whether it asks for the cache."""

    def __init__(self, routes: tuple[str, ...], by_header: bool) -> None:
        """by_header: whether a header may ask where neither the route nor the key does."""
        self._routes, self._by_header = frozenset(routes), by_header

    def read(self, exchange: Exchange) -> Asked | None:
        """How the request asks for the cache, None when it does not. Raises Refusal for a header in no known form."""
        route, caller, header = exchange.route, exchange.caller, exchange.headers.get(HEADER)
        if route.wire is None:
            return None
        on = route.template in self._routes or (caller is not None and caller.caches)
        if header is None:
            return USE if on else None
        asked = _parse(header)
        return asked if asked is None or on or self._by_header else NOT_ALLOWED


def _parse(value: bytes) -> Asked | None:
    found = _FORM.match(value)
    if found is None:
        shown = value[:40].decode("ascii", "replace")
        message = f"X-Tallygate-Cache: {shown!r} is not known; write use, use; max-age=SECONDS, refresh or off"
        raise Refusal(400, ErrorType.CALLER_INVALID_REQUEST, message)
    use, max_age, refresh, _ = found.groups()
    if refresh:
        return REFRESH
    if max_age:
        return Asked(max_age=int(max_age))
    return USE if use else None
