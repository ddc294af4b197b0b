"""Dimensions that hold for everything recorded inside a block: who calls, from where, for what."""

from __future__ import annotations

import logging
from contextvars import ContextVar, Token
from types import TracebackType
from typing import ClassVar

from tallygate import identities

_log = logging.getLogger("tallygate")

Dimensions = tuple[tuple[str, str], ...]
"""Names and values; hashable, so that what belongs to them is found at once."""

current: ContextVar[Dimensions | None] = ContextVar("tallygate_context", default=None)
"""What the innermost block and those around it set, by dimension name, each once; None outside of any."""


class context:
    """``with context(route="chat", agent_id="a1"): ...``: every fact recorded inside has these dimensions.

    route, agent_id, agent_name, agent_type, external_agent_id, source, and the configured custom labels. Blocks nest;
    the inner one wins, and so do arguments given to a tracker itself. Follows tasks as context variables do. Each
    block takes an object of its own.

    user_id, api_key_id, session_id: who it is for; without effect until a tally turns them on, see ``Tally``.
    """

    __slots__ = ("_dimensions", "_identities", "_identities_token", "_token")

    entered: ClassVar[bool] = False
    """Whether this process ever was in such a block: as long as it was not, nobody need look."""

    def __init__(
        self,
        *,
        route: str | None = None,
        agent_id: str | None = None,
        agent_name: str | None = None,
        agent_type: str | None = None,
        external_agent_id: str | None = None,
        source: str | None = None,
        user_id: str | None = None,
        api_key_id: str | None = None,
        session_id: str | None = None,
        **custom: str | None,
    ) -> None:
        given = []  # one by one, as most are not told
        if route is not None:
            given.append(("route", _text(route)))
        if agent_id is not None:
            given.append(("agent_id", _text(agent_id)))
        if agent_name is not None:
            given.append(("agent_name", _text(agent_name)))
        if agent_type is not None:
            given.append(("agent_type", _text(agent_type)))
        if external_agent_id is not None:
            given.append(("external_agent_id", _text(external_agent_id)))
        if source is not None:
            given.append(("source", _text(source)))
        if custom:
            given += [(name, _text(value)) for name, value in custom.items() if value is not None]
        self._dimensions: Dimensions = tuple(given)
        self._token: Token[Dimensions | None] | None = None
        self._identities: identities.Given | None = None
        if not (user_id is api_key_id is session_id is None) and identities.turned_on.total():
            known = zip(identities.NAMES, (user_id, api_key_id, session_id), strict=True)
            self._identities = tuple([(name, value) for name, value in known if value is not None])

    def __enter__(self) -> None:
        if not context.entered:
            context.entered = True
        outer = current.get()
        both = tuple({**dict(outer), **dict(self._dimensions)}.items()) if outer else self._dimensions
        self._token = current.set(both)
        if self._identities is not None:
            around = identities.current.get()
            given = {**dict(around), **dict(self._identities)} if around else dict(self._identities)
            self._identities_token = identities.current.set(tuple(given.items()))

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            token, self._token = self._token, None
            try:
                current.reset(token)
                if self._identities is not None:
                    identities.current.reset(self._identities_token)
            except ValueError:
                # A generator closed from another task: the context that was set here is gone with its task.
                return


def _text(value: object) -> str:
    """A dimension's value that is no plain string, as one."""
    if isinstance(value, str):
        return value
    try:
        return str(value)
    except Exception:
        _log.exception("a %s in a context has no text; it counts as not told", type(value).__name__)
        return ""
