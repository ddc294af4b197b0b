"""Which template of a Starlette or FastAPI application a request was for: ``/users/{id}``, never ``/users/7``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, Final

UNMATCHED: Final = "unmatched"
"""The route of requests that fit no template."""
MOST: Final = 4096
"""Endpoints that are remembered; an application that makes them on the fly is walked again from time to time."""
_PARAMETER: Final = re.compile(r"\{[^{}:]*(?::([^{}]*))?\}")

Endpoint = Any
Template = tuple[str, re.Pattern[str]]


class RouteTemplates:
    """Finds templates by the endpoint that the routers chose and left in the scope; matches nothing anew.

    Mounts and included routers contribute their prefixes as templates too. The routes are walked when an endpoint is
    met for the first time, so they may be added at any time; only a further route for an endpoint that was met before
    goes unnoticed. Where one endpoint stands behind several templates, the path decides between them.
    """

    def __init__(self) -> None:
        # By identity, since endpoints need have no hash; each is held on to, so that its identity stays its own.
        self._only: dict[int, str] = {}
        self._several: dict[int, tuple[Template, ...]] = {}
        self._held: dict[int, Endpoint] = {}

    def __call__(self, scope: MutableMapping[str, Any]) -> str:
        """The template of the request, or 'unmatched'. To be asked once the application has routed it."""
        endpoint = scope.get("endpoint")
        template = self._only.get(id(endpoint))
        if template is not None:
            return template
        if endpoint is None:
            return _declared(scope)
        if id(endpoint) not in self._several:
            self._learn(endpoint, scope)
            return self(scope)
        path = scope["path"].removeprefix(scope.get("app_root_path", scope.get("root_path", "")))
        fitting = (template for template, pattern in self._several[id(endpoint)] if pattern.fullmatch(path))
        return next(fitting, UNMATCHED)

    def _learn(self, endpoint: Endpoint, scope: MutableMapping[str, Any]) -> None:
        if len(self._held) >= MOST:
            self._only, self._several, self._held = {}, {}, {}
        found: dict[int, tuple[Endpoint, dict[str, None]]] = {id(endpoint): (endpoint, {})}
        for each, template in _walk(getattr(scope.get("router"), "routes", ()), ""):
            found.setdefault(id(each), (each, {}))[1][template] = None
        only, several = {}, {}
        for identity, (_, templates) in found.items():
            if len(templates) > 1:
                several[identity] = tuple([(template, _pattern(template)) for template in templates])
            else:
                only[identity] = next(iter(templates), UNMATCHED)
        # Endpoints that were met before stay, whether or not they are in these routes. New objects, for other threads.
        self._held = {**self._held, **{identity: each for identity, (each, _) in found.items()}}
        self._only = {**self._only, **only}
        self._several = {**self._several, **several}


def _walk(routes: Iterable[Any], prefix: str) -> Iterator[tuple[Endpoint, str]]:
    """Every endpoint below these routes, and its whole template."""
    for route in routes:
        if hasattr(route, "effective_route_contexts"):  # a router that FastAPI includes by reference
            contexts = route.effective_route_contexts()
            yield from _walk([getattr(context, "starlette_route", None) or context for context in contexts], prefix)
            continue
        path, endpoint = getattr(route, "path", ""), getattr(route, "endpoint", None)
        if endpoint is not None:
            yield endpoint, prefix + path
        elif below := getattr(route, "routes", None):
            yield from _walk(below, prefix + path)
        elif hasattr(route, "app"):  # mounted, and nothing is known of what is inside
            yield route.app, prefix + path + "/{path:path}"


def _pattern(template: str) -> re.Pattern[str]:
    """What paths of this template look like."""
    parts, at = [], 0
    for match in _PARAMETER.finditer(template):
        parts += [re.escape(template[at : match.start()]), ".*" if match[1] == "path" else "[^/]+"]
        at = match.end()
    return re.compile("".join(parts) + re.escape(template[at:]), re.DOTALL)


def _declared(scope: MutableMapping[str, Any]) -> str:
    """For other frameworks that leave the route they chose in the scope."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else UNMATCHED
