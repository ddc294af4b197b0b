"""From flags, environment, ``.env`` and file to settings, or to everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from tallygate.gateway.settings.checks import CHECKS
from tallygate.gateway.settings.files import FileReader
from tallygate.gateway.settings.models import Settings
from tallygate.gateway.settings.problems import ConfigurationError, NoProvider, Problem
from tallygate.gateway.settings.shape import Path
from tallygate.gateway.settings.translation import path_of, problem_of
from tallygate.gateway.settings.tree import Origin, Tree
from tallygate.gateway.settings.variables import Variables, lay_variables, read_dotenv, variable
from tallygate.gateway.settings.vendors import VENDORS, Vendor

FLAGS: Mapping[str, str] = {
    "server.host": "--host",
    "server.port": "--port",
    "server.workers": "--workers",
    "server.grace_seconds": "--grace",
    "server.master_key": "--master-key-file",
    "metrics.enabled": "--metrics",
    "metrics.endpoint": "--metrics-endpoint",
    "metrics.dialects": "--dialect",
    "log.level": "--log-level",
    "log.format": "--log-format",
}
"""Settings that have a flag on the command line."""


def load(
    flags: Mapping[str, Any] | None = None,
    file: FilePath | None = None,
    environ: Mapping[str, str] | None = None,
    dotenv: FilePath | None = None,
    *,
    serves: bool = True,
) -> Settings:
    """The settings in force: flags go before environment, ``.env``, file and defaults, in this order.

    ``flags``: values by setting, as in ``{"server.port": 4000}``; None is not given. ``serves``: whether a gateway is
    to run with them, which needs a provider.
    Raises ConfigurationError with all that is wrong.
    """
    environ = environ or {}
    problems: list[Problem] = []
    tree = Tree()
    own = Variables(environ)
    beside = read_dotenv(dotenv, environ, problems) if dotenv is not None else Variables({})
    asked_for: set[str] = set()
    if file is not None:
        reader = FileReader(file, {**beside.values, **environ})
        tree.lay((), reader.read(), Origin(str(file), whole=True))
        problems += reader.problems
        asked_for = reader.asked_for
    for variables in (beside, own):
        lay_variables(tree, variables, asked_for, problems)
    for name, value in (flags or {}).items():
        if value is not None:
            tree.lay(tuple(name.split(".")), value, Origin(FLAGS.get(name, name)))
    for vendor in VENDORS.values():
        _lay_vendor(tree, vendor, (own, beside), problems)
    return _validated(tree, problems, serves=serves)


def _lay_vendor(tree: Tree, vendor: Vendor, places: tuple[Variables, ...], problems: list[Problem]) -> None:
    """Make a provider of a vendor's variables; to one that is configured, add what it does not say."""

    def lay(field: str, names: tuple[str, ...]) -> bool:
        for variables in places:
            for name in names:
                origin, value = variable(variables, name, problems, secret=field == "api_key")
                if value and value.strip():
                    tree.lay((*path, field), value, origin)
                    return True
        return False

    path: Path = ("providers", vendor.name)
    configured = tree.get(path)
    if configured is not None and (
        not isinstance(configured, dict)
        or configured.get("kind", vendor.kind) != vendor.kind
        or configured.get("base_url")  # a key is for the vendor's own address, not for whatever a file names like it
    ):
        return
    lay("base_url", vendor.addresses)
    if not (configured or {}).get("api_key"):
        lay("api_key", vendor.keys)
    provider = tree.get(path)
    if provider is None:
        return
    if not provider.get("api_version"):
        lay("api_version", vendor.versions)
    provider.setdefault("kind", vendor.kind)
    if vendor.base_url:
        provider.setdefault("base_url", vendor.base_url)


def _validated(tree: Tree, problems: list[Problem], *, serves: bool) -> Settings:
    """The settings of a tree. Values that are wrong are left out, so that the others can be checked too."""
    settings: Settings | None = None
    left_out: list[Path] = []
    # A second round may find what the first left out to be missing: then its own checks are all there is to say.
    for _ in range(2):
        try:
            settings = Settings.model_validate(tree.data)
            break
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=True)
        if left_out:
            break
        problems += [problem_of(tree, detail) for detail in details]
        for detail in details:
            if detail["type"] == "extra_forbidden":
                tree.drop(path_of(detail))
            else:
                left_out.append(tree.without(path_of(detail)))
    if settings is not None:
        for check in CHECKS:
            if not any(_overlap(one, part) for one in left_out for part in check.reads):
                found = check.run(settings, tree, bool(problems))
                problems += [problem for problem in found if serves or not isinstance(problem, NoProvider)]
    if problems or settings is None:
        raise ConfigurationError(list(dict.fromkeys(problems)))
    return settings


def _overlap(one: Path, other: Path) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
