"""What to serve: everything a worker process needs, in a form that can be sent to it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from tallygate.gateway.server.limits import Limits
from tallygate.gateway.server.sockets import StartError
from tallygate.gateway.server.tls import TLS


@dataclass(frozen=True, slots=True)
class SideApp:
    """A second listener, such as the one for metrics. Every worker serves it, on a socket they share."""

    select: str
    """``module:function``, called in each worker with the main application; returns the application to serve here."""
    host: str
    port: int
    tls: TLS | None = None
    """How it speaks TLS; None when it does not."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a worker serves."""

    factory: str
    """``module:function``, called in each worker with the settings; returns the ASGI application."""
    settings: Any
    grace: float
    sides: tuple[SideApp, ...] = ()
    limits: Limits = field(default_factory=Limits)
    tls: TLS | None = None
    """How the main listener speaks TLS; None when it does not."""


def resolve(path: str) -> Callable[..., Any]:
    """The function that ``module:function`` names. Raises StartError."""
    module, _, name = path.partition(":")
    found = getattr(import_module(module), name, None)
    if not callable(found):
        raise StartError(f"there is no function {path!r}")
    result: Callable[..., Any] = found
    return result
