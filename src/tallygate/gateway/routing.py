"""Which deployments serve a model: exact name, ``provider/model``, alias, else whoever speaks the API called."""

from collections.abc import Callable, Collection, Mapping, Sequence

from tallygate.errors import ErrorType
from tallygate.gateway.failover.breaker import Breaker
from tallygate.gateway.failover.choosing import Place, Target
from tallygate.gateway.failover.deployments import Deployment
from tallygate.gateway.providers import Provider
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.settings.failover import RoutedModelSettings

__all__ = ["KINDS", "UNKNOWN_MODEL", "Deployment", "Router"]

UNKNOWN_MODEL = "other"
"""The label of a model that neither the configuration nor the price catalogue knows."""

KINDS = ("openai", "anthropic", "gemini")
"""Kinds of API that callers speak."""

MakeBreaker = Callable[[Provider, str], Breaker]
"""Makes the breaker of a provider's model."""


class Router:
    """Finds the deployments of a model's name."""

    def __init__(
        self,
        providers: Sequence[Provider],
        aliases: Mapping[str, str],
        canonical_model: Callable[[Provider, str], str | None],
        models: Mapping[str, RoutedModelSettings] | None = None,
        make_breaker: MakeBreaker | None = None,
    ) -> None:
        """models: that several deployments serve. make_breaker: for every deployment that is configured; None: none.

        A model that several providers list is served by the first of them that speaks the caller's API; the others
        stand in for it, in their order.
        """
        self._providers = providers
        self._by_name = {provider.name: provider for provider in providers}
        self._aliases = aliases
        self._canonical_model = canonical_model
        self._make_breaker = make_breaker
        self._configured: dict[tuple[str, str], Deployment] = {}
        self._places: dict[str, list[Place]] = {}
        for provider in providers:
            for name, model in provider.models.items():
                served = self._places.setdefault(name, [])
                served.append(Place(self._deployment(provider, model), priority=len(served) + 1))
        models = models or {}
        for name, routed in models.items():
            self._places[name] = [
                Place(
                    self._deployment(self._by_name[place.provider], place.model or name), place.weight, place.priority
                )
                for place in routed.deployments
            ]
        self._targets = {kind: self._targets_of(kind) for kind in KINDS}
        for kind in KINDS:
            for name in models:
                if name in self._targets[kind]:
                    self._targets[kind][name].fall_back_to(self._fallbacks(name, models, kind))

    @property
    def deployments(self) -> Collection[Deployment]:
        """All that are configured."""
        return self._configured.values()

    @property
    def targets(self) -> Collection[Target]:
        """All that are configured, each once for every kind of API that it may be asked for in."""
        return {id(target): target for named in self._targets.values() for target in named.values()}.values()

    def target(self, model: str, kind: str, path: str) -> Target:
        """Where ``model`` is served for a caller of an API of this kind. Raises Refusal(404) or Refusal(400)."""
        target = self._targets[kind].get(model)
        if target is not None:
            return target
        name = self._meant(model)
        target = self._targets[kind].get(name)
        if target is not None:
            return target
        if name in self._places:
            raise self._wrong_api(model, self._places[name][0].deployment.provider, path)
        prefix, slash, rest = name.partition("/")
        if slash and rest and prefix in self._by_name:
            provider = self._by_name[prefix]
            if not provider.speaks(kind):
                raise self._wrong_api(model, provider, path)
            return self._open(provider, rest, path)
        for provider in self._providers:
            if provider.speaks(kind):
                return self._open(provider, name, path)
        raise self._unserved(path)

    def choose(self, model: str, kind: str, path: str) -> Deployment:
        """The first deployment of the target of ``model``."""
        return self.target(model, kind, path).places[0].deployment

    def passthrough(self, kind: str, model: str, path: str) -> Deployment:
        """Whom to ask about models: the first provider that speaks this kind of API. Raises Refusal(404)."""
        _check_name(model)
        for provider in self._providers:
            if provider.speaks(kind):
                return Deployment(provider, model, "")
        raise self._unserved(path)

    def _meant(self, model: str) -> str:
        """The name at the end of a chain of aliases."""
        name = model
        for _ in range(len(self._aliases) + 1):
            if name not in self._aliases:
                break
            name = self._aliases[name]
        return name

    def _deployment(self, provider: Provider, model: str) -> Deployment:
        """The one deployment of a configured model; its breaker counts whichever name led to it."""
        model = provider.models.get(model, model)
        deployment = self._configured.get((provider.name, model))
        if deployment is None:
            breaker = None if self._make_breaker is None else self._make_breaker(provider, model)
            deployment = self._configured[provider.name, model] = Deployment(provider, model, model, breaker)
        return deployment

    def _targets_of(self, kind: str) -> dict[str, Target]:
        """What callers of this kind of API may ask for by its name: those of models, and aliases of them."""
        targets = {}
        for name, places in self._places.items():
            spoken = [place for place in places if place.deployment.provider.speaks(kind)]
            if spoken:
                targets[name] = Target(name, [Place(one.deployment, one.weight, one.priority) for one in spoken])
        for provider in self._providers:
            for name in provider.models if provider.speaks(kind) else ():
                addressed = f"{provider.name}/{name}"
                targets.setdefault(addressed, Target(addressed, [Place(self._deployment(provider, name))]))
        for alias in self._aliases:
            if alias not in targets and self._meant(alias) in targets:
                targets[alias] = targets[self._meant(alias)]
        return targets

    def _fallbacks(self, name: str, models: Mapping[str, RoutedModelSettings], kind: str) -> list[Target]:
        """The models to ask after ``name``, each followed by its own fallbacks; none twice."""
        found: dict[Target, None] = {}

        def follow(name: str) -> None:
            for fallback in models[name].fallbacks if name in models else ():
                meant = self._meant(fallback)
                target = self._targets[kind].get(meant) or self._addressed(meant, kind)
                if target is not None and target is not start and target not in found:
                    found[target] = None
                    follow(meant)

        start = self._targets[kind][name]
        follow(name)
        return list(found)

    def _addressed(self, name: str, kind: str) -> Target | None:
        """The target of a configured ``provider/model``."""
        prefix, _, model = name.partition("/")
        provider = self._by_name.get(prefix)
        if provider is None or not model or not provider.speaks(kind):
            return None
        return Target(name, [Place(self._deployment(provider, model))])

    def _open(self, provider: Provider, model: str, path: str) -> Target:
        """A model by the name the caller gave, labelled only if somebody we trust knows the name."""
        configured = self._configured.get((provider.name, provider.models.get(model, model)))
        if configured is not None:
            return Target(model, (Place(configured),))
        if provider.model_in_path or "{model}" in path:
            _check_name(model)
        label = self._canonical_model(provider, model) or UNKNOWN_MODEL
        return Target(label, (Place(Deployment(provider, model, label)),))

    def _unserved(self, path: str) -> Refusal:
        known = ", ".join(self._by_name)
        message = f"no configured provider serves {path}; configured are: {known}"
        return Refusal(404, ErrorType.CALLER_UNKNOWN_MODEL, message)

    @staticmethod
    def _wrong_api(model: str, provider: Provider, path: str) -> Refusal:
        return Refusal(
            400,
            ErrorType.CALLER_INVALID_REQUEST,
            f"model '{model[:200]}' is served by provider '{provider.name}', which does not speak {path}; "
            f"call it through its own API ({provider.native_path})",
        )


def _check_name(model: str) -> None:
    """Dots alone would be a way up in the provider's URL, where a provider reads %2F as a slash."""
    if "." in model and any(part in (".", "..") for part in model.split("/")):
        raise Refusal(404, ErrorType.CALLER_UNKNOWN_MODEL, f"'{model}' is no model name")
