"""What must hold for the response cache: paths that exist, a store that can be reached, times that fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tallygate.gateway.settings.kinds import HEADER_NAME
from tallygate.gateway.settings.problems import Problem, suggestion

if TYPE_CHECKING:
    from tallygate.gateway.settings.models import Settings
    from tallygate.gateway.settings.tree import Tree


def response_cache(settings: Settings, tree: Tree) -> Iterator[Problem]:
    """What is wrong with it."""
    from tallygate.gateway.routes import LLM_PATHS

    cache = settings.cache
    if cache.store == "shared" and settings.shared.url is None:
        yield tree.problem(
            ("cache", "store"), "there is no shared store", "set shared.url to a Redis or Valkey, or use 'memory'"
        )
    for path in cache.routes:
        if path not in LLM_PATHS:
            yield tree.problem(
                ("cache", "routes"), f"no path to models is called {path!r}", suggestion(path, LLM_PATHS)
            )
    for name in cache.headers:
        if not HEADER_NAME.match(name):
            yield tree.problem(
                ("cache", "headers"), f"{name!r} is no name of an HTTP header", "use letters, digits and hyphens"
            )
    if cache.time_to_idle_seconds is not None and cache.time_to_idle_seconds > cache.time_to_live_seconds:
        yield tree.problem(
            ("cache", "time_to_idle_seconds"), "is longer than cache.time_to_live_seconds, which ends first", "unset it"
        )
