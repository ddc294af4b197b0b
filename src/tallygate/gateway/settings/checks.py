"""What must hold between settings: ports and paths that do not clash, names that exist."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tallygate.gateway.settings.caching import response_cache
from tallygate.gateway.settings.models import DIMENSION_HEADERS, Settings
from tallygate.gateway.settings.problems import NoProvider, Problem, did_you_mean, suggestion
from tallygate.gateway.settings.rated import rates
from tallygate.gateway.settings.routed import routed_models
from tallygate.gateway.settings.shape import Path
from tallygate.gateway.settings.tls import TLSSettings, tls_of
from tallygate.gateway.settings.tree import Tree

API_PATHS = ("/v1", "/v1beta", "/p", "/health", "/admin", "/api")
"""What the gateway serves, or will, under its own port; the metrics cannot be there."""
SHORTEST_ADMIN_KEY = 20
LABEL_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*\Z")
METRICS_PATH = re.compile(r"(/[A-Za-z0-9_~!$&'()*+,;=:@-][A-Za-z0-9._~!$&'()*+,;=:@-]*)+\Z")
CREDENTIALS = frozenset({"authorization", "proxy-authorization", "cookie", "x-api-key", "x-goog-api-key", "api-key"})

Found = Iterator[Problem]


@dataclass(frozen=True)
class Check:
    """A check, and what it reads: it is left out when that is wrong already."""

    reads: tuple[Path, ...]
    look: Callable[[Settings, Tree], Found]
    only_alone: bool = False
    """Whether it is of interest only when nothing else is wrong."""

    def run(self, settings: Settings, tree: Tree, others: bool) -> list[Problem]:
        """What this check finds."""
        return [] if others and self.only_alone else list(self.look(settings, tree))


def endpoint(settings: Settings, tree: Tree) -> Found:
    path, at = settings.metrics.endpoint, ("metrics", "endpoint")
    if not path.startswith("/"):
        yield tree.problem(at, "metrics endpoint must start with /", f"write /{path}")
    elif not METRICS_PATH.match(path):
        yield tree.problem(at, "is no path of its own", "use plain segments, as in /internal/metrics")
    elif clash := next((one for one in API_PATHS if path == one or path.startswith(f"{one}/")), None):
        yield tree.problem(at, f"metrics endpoint conflicts with API routes ({clash})", "use another, as in /metrics")


def dashboard(settings: Settings, tree: Tree) -> Found:
    path, at = settings.dashboard.path, ("dashboard", "path")
    taken = (*API_PATHS, settings.metrics.endpoint)
    if not METRICS_PATH.match(path):
        yield tree.problem(at, "is no path of its own", "begin with / and use plain segments, as in /dashboard")
    elif clash := next((one for one in taken if path == one or path.startswith(f"{one}/")), None):
        yield tree.problem(at, f"is served already ({clash})", "use another, as in /dashboard")
    elif settings.metrics.endpoint.startswith(f"{path}/"):
        problem = f"holds the metrics' path ({settings.metrics.endpoint})"
        yield tree.problem(at, problem, "use another, as in /dashboard")


def listener(settings: Settings, tree: Tree) -> Found:
    apart, port = settings.metrics.listener, settings.server.port
    if apart is not None and apart.port == port and port:
        at = ("metrics", "listener", "port")
        problem = f"metrics listener port {port} is the server's port too"
        yield tree.problem(at, problem, "configure a different port for one of them", value=False)


def tls(settings: Settings, tree: Tree) -> Found:
    apart = settings.metrics.listener
    listeners: tuple[tuple[Path, TLSSettings | None], ...] = (
        (("server", "tls"), settings.server.tls),
        (("metrics", "listener", "tls"), apart.tls if apart is not None else None),
    )
    for at, configured in listeners:
        if (wanted := tls_of(configured)) is None:
            continue
        from tallygate.gateway.server.tls import TLSFileError, server_context

        try:
            server_context(wanted)
        except TLSFileError as error:
            yield tree.problem((*at, error.name), error.problem, error.mend, value=False)


def upstream(settings: Settings, tree: Tree) -> Found:
    if (file := settings.upstream.ca_file) is None:
        return
    from tallygate.gateway.server.tls import TLSFileError, read_authorities

    try:
        read_authorities(str(file), "ca_file")
    except TLSFileError as error:
        yield tree.problem(("upstream", error.name), error.problem, error.mend, value=False)


def admin(settings: Settings, tree: Tree) -> Found:
    accounts, at = settings.accounts, ("accounts", "admin_key")
    if accounts.admin_key is None:
        return
    if not accounts.enabled:
        yield tree.problem(at, "is set, but there are no accounts", "set accounts.enabled = true, or remove it")
    if len(accounts.admin_key.get_secret_value()) < SHORTEST_ADMIN_KEY:
        problem = f"is shorter than {SHORTEST_ADMIN_KEY} characters, so it could be guessed"
        yield tree.problem(at, problem, "make one with `openssl rand -hex 32`")
    if settings.server.master_key is not None and settings.server.master_key == accounts.admin_key:
        yield tree.problem(at, "is the master key too, which callers know", "make another for each")


def labels(settings: Settings, tree: Tree) -> Found:
    from tallygate.facts import FACTS
    from tallygate.record.labels import CustomLabelError, custom_labels

    at = ("metrics", "labels")
    known: list[str] = []
    for key in settings.metrics.labels:
        if not LABEL_KEY.match(key):
            yield tree.problem(
                at, f"{key!r} is no name for a label", "begin with a letter; use letters, digits, _ and -"
            )
            continue
        try:
            custom_labels([*known, key], FACTS)
            known.append(key)
        except CustomLabelError as error:
            problem, _, mend = str(error).partition("; ")
            yield tree.problem(at, problem, mend or "rename it")
    for name in dict.fromkeys(key.replace("-", "_") for key in known):
        for dialect, family in _families_with(name):
            problem = f"custom label {name!r} is a label of {family} in the dialect {dialect!r} already"
            yield tree.problem(at, problem, "rename it")
            break


def identities(settings: Settings, tree: Tree) -> Found:
    from tallygate.identities import IdentityError, check

    for name, mode in settings.metrics.identities.items():
        try:
            check({name: mode})
        except IdentityError as error:
            problem, _, mend = str(error).partition("; ")
            yield tree.problem(("metrics", "identities", name), problem.removeprefix("identities: "), mend, value=False)


def _families_with(label: str) -> Iterator[tuple[str, str]]:
    """Dialect and name of the families that show custom labels beside one of their own of this name."""
    from tallygate.declare import CustomLabels, labels_of
    from tallygate.dialects import DIALECTS
    from tallygate.dialects.families import Split

    for dialect in DIALECTS.values():
        for family in dialect:
            if any(isinstance(item, CustomLabels) for item in family.labels):
                names = {one.name for one in labels_of(family.labels)}
                names |= {family.value.label} if isinstance(family.value, Split) else set()
                if label in names:
                    yield dialect.name, family.name


def dialects(settings: Settings, tree: Tree) -> Found:
    from tallygate.dialects import DIALECTS, DialectClash, resolve

    at = ("metrics", "dialects")
    unknown = [name for name in settings.metrics.dialects if name not in DIALECTS]
    for name in unknown:
        yield tree.problem(at, f"no dialect is called {name!r}", suggestion(name, list(DIALECTS)))
    if not settings.metrics.dialects:
        yield tree.problem(at, "is empty", f"name at least one of {', '.join(DIALECTS)}")
    try:
        resolve(name for name in settings.metrics.dialects if name not in unknown)
    except DialectClash as error:
        problem, _, mend = str(error).rpartition("; ")
        yield tree.problem(at, problem, mend)


def dimensions(settings: Settings, tree: Tree) -> Found:
    custom = [key.replace("-", "_") for key in settings.metrics.labels]
    known = [*DIMENSION_HEADERS, *custom]
    written = tree.data.get("dimensions") or {}
    for key in written:
        name, at = str(key).replace("-", "_"), ("dimensions", str(key))
        if name not in known:
            close = did_you_mean(name, known)
            mend = f"did you mean {close!r}?" if close else "add it to metrics.labels, or remove it"
            yield tree.problem(at, "is neither a built-in dimension nor a custom label", mend)
        elif settings.dimensions[name].header.lower() in CREDENTIALS:
            yield tree.problem(
                (*at, "header"), "carries credentials, which must not become labels", "use another header"
            )
        if sum(str(other).replace("-", "_") == name for other in written) > 1:
            yield tree.problem(at, f"the dimension {name!r} is there twice", "remove one")


def providers(settings: Settings, tree: Tree) -> Found:
    for name, provider in settings.providers.items():
        at: Path = ("providers", name)
        if provider.api_version is not None and provider.kind != "azure":
            yield tree.problem((*at, "api_version"), "is for Azure only", "remove it, or set kind = 'azure'")
        taken: set[str] = set()
        for index, model in enumerate(provider.models):
            for called in (model.name, *model.aliases):
                if called in taken:
                    yield tree.problem((*at, "models", index), f"the name {called!r} is there twice", "remove one")
                taken.add(called)


def aliases(settings: Settings, tree: Tree) -> Found:
    served = {name: _names(settings, name) for name in settings.providers}
    known = {model for models in served.values() for model in models} | set(settings.models)
    # A provider that lists no models takes any name.
    any_name = any(not models for models in served.values())
    for alias, target in settings.aliases.items():
        at = ("aliases", alias)
        prefix, slash, rest = target.partition("/")
        if alias in known:
            yield tree.problem(at, f"the alias shadows the model {alias!r}", "give the alias another name")
        elif alias.partition("/")[0] in served and "/" in alias:
            problem = f"the alias shadows a model of the provider {alias.partition('/')[0]!r}"
            yield tree.problem(at, problem, "give the alias another name")
        if target in settings.aliases:
            if way := _circle(settings, alias):
                yield tree.problem(at, f"goes round in circles: {' -> '.join(way)}", "point one of them at a model")
        elif target in known:
            continue
        elif slash and prefix in served:
            if not rest or (served[prefix] and rest not in served[prefix]):
                mend = suggestion(rest, sorted(served[prefix])) if served[prefix] else "add its name after the /"
                yield tree.problem(at, f"the provider {prefix!r} has no model {rest!r}", mend)
        elif not any_name:
            names = [*known, *settings.aliases, *(f"{name}/{model}" for name in served for model in served[name])]
            close = did_you_mean(target, [one for one in names if one != alias])
            mend = f"did you mean {close!r}?" if close else "add it to the models of a provider"
            yield tree.problem(at, "no provider serves this model", mend)


def _names(settings: Settings, provider: str) -> set[str]:
    return {name for model in settings.providers[provider].models for name in (model.name, *model.aliases)}


def _circle(settings: Settings, alias: str) -> list[str]:
    """The way from an alias back to itself; [] when there is none. Each circle is told once, at its first name."""
    way = [alias]
    while (following := settings.aliases.get(way[-1])) is not None:
        if following in way:
            return [*way, following] if following == alias and alias == min(way) else []
        way.append(following)
    return []


def prices(settings: Settings, tree: Tree) -> Found:
    for name, provider in settings.providers.items():
        for model in provider.models:
            key = f"{name}/{model.name}"
            if model.price is not None and settings.prices[key] != model.price:
                yield tree.problem(("prices", key), f"the model {model.name!r} has another price as well", "remove one")


def somebody_to_ask(settings: Settings, tree: Tree) -> Found:
    if not settings.providers:
        yield NoProvider(
            "providers",
            "no provider is configured",
            "set OPENAI_API_KEY, ANTHROPIC_API_KEY, GEMINI_API_KEY or another provider's key in the environment, "
            "or name a file with --config that has a [providers.NAME] section; `tallygate demo` needs neither",
        )


CHECKS = (
    Check((("metrics", "endpoint"),), endpoint),
    Check((("dashboard", "path"), ("metrics", "endpoint")), dashboard),
    Check((("metrics", "listener"), ("server", "port")), listener),
    Check((("server", "tls"), ("metrics", "listener")), tls),
    Check((("upstream",),), upstream),
    Check((("accounts",), ("server", "master_key")), admin),
    Check((("metrics", "labels"),), labels),
    Check((("metrics", "identities"),), identities),
    Check((("metrics", "dialects"),), dialects),
    Check((("dimensions",), ("metrics", "labels")), dimensions),
    Check((), providers),
    Check((("aliases",), ("providers",), ("models",)), aliases),
    Check((("models",), ("providers",), ("aliases",)), routed_models),
    Check((("prices",), ("providers",)), prices),
    Check((("rates",), ("providers",), ("models",), ("aliases",), ("accounts",)), rates),
    Check((("cache",), ("shared", "url")), response_cache),
    Check((("providers",),), somebody_to_ask, only_alone=True),
)
