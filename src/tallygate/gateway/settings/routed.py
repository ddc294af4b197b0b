"""What must hold of models that several deployments serve: who serves them exists, and fallbacks end somewhere."""

from __future__ import annotations

from collections.abc import Iterator

from tallygate.gateway.settings.failover import RoutedModelSettings
from tallygate.gateway.settings.models import ProviderSettings, Settings
from tallygate.gateway.settings.problems import Problem, suggestion
from tallygate.gateway.settings.shape import Path
from tallygate.gateway.settings.tree import Tree

Found = Iterator[Problem]


def routed_models(settings: Settings, tree: Tree) -> Found:
    for name, model in settings.models.items():
        prefix, slash, _ = name.partition("/")
        if slash and prefix in settings.providers:
            problem = f"the name hides a model of the provider {prefix!r}"
            yield tree.problem(("models", name), problem, "give the model another name")
        yield from _deployments(settings, tree, name, model)
        yield from _fallbacks(settings, tree, name, model)


def _deployments(settings: Settings, tree: Tree, name: str, model: RoutedModelSettings) -> Found:
    taken: set[tuple[str, str]] = set()
    for index, place in enumerate(model.deployments):
        at: Path = ("models", name, "deployments", index)
        provider = settings.providers.get(place.provider)
        if provider is None:
            mend = suggestion(place.provider, list(settings.providers))
            yield tree.problem((*at, "provider"), "no provider has this name", mend)
            continue
        served = listed(provider)
        if place.model is None and served and name not in served:
            problem = f"the provider {place.provider!r} has no model {name!r}"
            yield tree.problem(at, problem, "say with `model` which of its models it is")
        asked = (place.provider, place.model or name)
        if asked in taken:
            problem = f"the model {asked[1]!r} of the provider {asked[0]!r} is there twice"
            yield tree.problem(at, problem, "remove one, and give the other its weight")
        taken.add(asked)


def _fallbacks(settings: Settings, tree: Tree, name: str, model: RoutedModelSettings) -> Found:
    at: Path = ("models", name, "fallbacks")
    spoken = _apis(settings, name)
    for fallback in model.fallbacks:
        meant = _meant(settings, fallback)
        apis = _apis(settings, meant)
        if not apis:
            known = [*settings.models, *settings.aliases]
            known += [called for provider in settings.providers.values() for called in listed(provider)]
            yield tree.problem(at, f"no provider serves {fallback!r}", suggestion(fallback, list(dict.fromkeys(known))))
        elif spoken and not spoken & apis:
            problem = f"{fallback!r} speaks none of the APIs of {name!r}"
            yield tree.problem(at, problem, "name a model of providers of the same kind")
    if way := _circle(settings, name):
        problem = f"goes round in circles: {' -> '.join(way)}"
        yield tree.problem(at, problem, "let one of them fall back to no other")


def listed(provider: ProviderSettings) -> list[str]:
    """The names of a provider's models."""
    return [called for model in provider.models for called in (model.name, *model.aliases)]


def _meant(settings: Settings, name: str) -> str:
    """The name at the end of a chain of aliases."""
    for _ in range(len(settings.aliases)):
        name = settings.aliases.get(name, name)
    return name


def _apis(settings: Settings, name: str) -> set[str]:
    """The kinds of API that a model can be asked for in; none when nobody is configured to serve it."""
    if name in settings.models:
        serving = [settings.providers.get(place.provider) for place in settings.models[name].deployments]
    else:
        prefix, _, rest = name.partition("/")
        direct = settings.providers.get(prefix) if rest else None
        serving = [provider for provider in settings.providers.values() if name in listed(provider)]
        if not serving and direct is not None and (not direct.models or rest in listed(direct)):
            serving = [direct]
    kinds = {provider.kind for provider in serving if provider is not None}
    return {"openai" if kind == "azure" else kind for kind in kinds}


def _circle(settings: Settings, start: str) -> list[str]:
    """A way from a model over its fallbacks back to itself; [] when there is none, or when another name tells it."""
    ways = [[start]]
    seen = {start}
    while ways:
        way = ways.pop()
        model = settings.models.get(way[-1])
        for fallback in model.fallbacks if model is not None else ():
            meant = _meant(settings, fallback)
            if meant == start:
                return [*way, start] if start == min(way) else []
            if meant not in seen:
                seen.add(meant)
                ways.append([*way, meant])
    return []
