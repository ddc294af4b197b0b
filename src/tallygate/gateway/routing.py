"""Which provider serves a model: exact name, ``provider/model``, alias, else whoever speaks the API that was called."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tallygate.errors import ErrorType
from tallygate.gateway.providers import Provider
from tallygate.gateway.refusal import Refusal
from tallygate.ledger.interface import Batch

UNKNOWN_MODEL = "other"
"""The label of a model that neither the configuration nor the price catalogue knows."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """A model at a provider."""

    provider: Provider
    model: str
    """The name to ask the provider for."""
    label: str
    """The name on labels: bounded by the configuration and the price catalogue, whatever clients send."""
    wholes: dict[str, Batch] = field(default_factory=dict, compare=False, repr=False)
    """How calls whose replies come whole are recorded, by the path they came to: kept for ``Recording``."""
    streams: dict[str, Batch] = field(default_factory=dict, compare=False, repr=False)
    """The same for streams."""


class Router:
    """Finds the deployment for a model name."""

    def __init__(
        self,
        providers: Sequence[Provider],
        aliases: Mapping[str, str],
        canonical_model: Callable[[Provider, str], str | None],
    ) -> None:
        self._providers = providers
        self._by_name = {provider.name: provider for provider in providers}
        self._aliases = aliases
        self._canonical_model = canonical_model
        self._exact: dict[str, list[Deployment]] = {}
        for provider in providers:
            for name, model in provider.models.items():
                self._exact.setdefault(name, []).append(Deployment(provider, model, model))

    def choose(self, model: str, kind: str, path: str) -> Deployment:
        """The deployment of ``model`` for a caller of an API of this kind. Raises Refusal(404) or Refusal(400)."""
        name = model
        for _ in range(len(self._aliases) + 1):
            if name not in self._aliases:
                break
            name = self._aliases[name]
        exact = self._exact.get(name)
        if exact is not None:
            for deployment in exact:
                if deployment.provider.speaks(kind):
                    return deployment
            raise self._wrong_api(model, exact[0].provider, path)
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

    def passthrough(self, kind: str, model: str, path: str) -> Deployment:
        """Whom to ask about models: the first provider that speaks this kind of API. Raises Refusal(404)."""
        _check_name(model)
        for provider in self._providers:
            if provider.speaks(kind):
                return Deployment(provider, model, "")
        raise self._unserved(path)

    def _open(self, provider: Provider, model: str, path: str) -> Deployment:
        """A model by the name the caller gave, labelled only if somebody we trust knows the name."""
        configured = provider.models.get(model)
        if configured is not None:
            return Deployment(provider, configured, configured)
        if provider.model_in_path or "{model}" in path:
            _check_name(model)
        return Deployment(provider, model, self._canonical_model(provider, model) or UNKNOWN_MODEL)

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
