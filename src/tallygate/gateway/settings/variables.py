"""Settings in the environment and in ``.env``: ``TALLYGATE_SECTION__FIELD``, a few short names, secrets as files."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path as FilePath
from typing import Any

from tallygate.gateway.settings.problems import Problem, did_you_mean
from tallygate.gateway.settings.shape import Path, Shape, keys_at, leaves, shape_at
from tallygate.gateway.settings.tree import Origin, Tree

PREFIX = "TALLYGATE_"
SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "PORT": ("server", "port"),
    "METRICS_ENABLED": ("metrics", "enabled"),
    "METRICS_ENDPOINT": ("metrics", "endpoint"),
    "TALLYGATE_MASTER_KEY": ("server", "master_key"),
}
"""Further names of settings; the long ones go before them."""
OTHER_USES = frozenset({"TALLYGATE_CONFIG", "TALLYGATE_LEDGER"})
"""Variables with our prefix that are no settings."""

# Kubernetes sets these in every pod of a namespace that has a service called tallygate.
_KUBERNETES = re.compile(r"TALLYGATE_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_\w+)?)\Z")


@dataclass(frozen=True)
class Variables:
    """The variables of one place."""

    values: Mapping[str, str]
    file: FilePath | None = None
    """The .env file; None for the environment itself."""

    def origin(self, name: str) -> Origin:
        """What to call a variable in messages."""
        return Origin(f"{name} in {self.file}" if self.file else f"environment variable {name}")


def variable_of(path: Path) -> str:
    """The environment variable of a setting."""
    return PREFIX + "__".join(str(key).upper() for key in path)


def read_dotenv(file: FilePath, environ: Mapping[str, str], problems: list[Problem]) -> Variables:
    """The variables of a ``.env`` file that the environment does not have; none when there is no such file."""
    from dotenv import dotenv_values
    from dotenv.parser import parse_stream

    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return Variables({}, file)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        problems.append(Problem(str(file), f"cannot be read: {reason}", "mend or remove it"))
        return Variables({}, file)
    wrong = [binding.original.line for binding in parse_stream(StringIO(text)) if binding.error]
    for line in wrong:
        problems.append(Problem(f"line {line} in {file}", "is no variable", "write NAME=value, or # before a comment"))
    if wrong:
        return Variables({}, file)
    found = dotenv_values(stream=StringIO(text))
    return Variables({name: value or "" for name, value in found.items() if name not in environ}, file)


def lay_variables(tree: Tree, variables: Variables, asked_for: Collection[str], problems: list[Problem]) -> None:
    """Lay the settings of one place over the tree."""
    for name, path in SHORT_NAMES.items():
        _lay(tree, variables, name, path, problems)
    for name in sorted(variables.values):
        if not name.upper().startswith(PREFIX) or name in SHORT_NAMES or name in OTHER_USES:
            continue
        own = name[len(PREFIX) :].lower().removesuffix("_file") if name.upper().endswith("_FILE") else None
        path = tuple(name[len(PREFIX) :].lower().split("__"))
        if shape_at(path) is not None and all(path):
            _lay(tree, variables, name, path, problems)
        elif own is None or shape_at(tuple(own.split("__"))) is not Shape.SECRET:
            if name not in asked_for:
                problems.extend(_unknown(variables.origin(name).name, name, path))
        elif name.upper().removesuffix("_FILE") not in SHORT_NAMES:
            _lay(tree, variables, name[: -len("_FILE")], tuple(own.split("__")), problems)


def _lay(tree: Tree, variables: Variables, name: str, path: tuple[str, ...], problems: list[Problem]) -> None:
    origin, text = variable(variables, name, problems, secret=shape_at(path) is Shape.SECRET)
    value: Any = text
    shape = shape_at(path)
    if text is None or (text == "" and shape is not Shape.TRUTH):
        return
    if shape in (Shape.SECTION, Shape.MAPPING) and text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError:
            problems.append(Problem(origin.name, "is no JSON", 'write a JSON object, as in {"name": "value"}'))
            return
    tree.lay(path, value, origin)


def variable(variables: Variables, name: str, problems: list[Problem], *, secret: bool) -> tuple[Origin, str | None]:
    """A variable's text, or for a secret also what the file that ``NAME_FILE`` names holds; None when it is not set."""
    text, file = variables.values.get(name), variables.values.get(f"{name}_FILE") if secret else None
    if not file:
        return variables.origin(name), text
    origin = variables.origin(f"{name}_FILE")
    if text:
        problems.append(Problem(origin.name, f"{name} is set too", "remove one of them"))
    try:
        return origin, FilePath(file).read_text(encoding="utf-8").strip()
    except OSError as error:
        problem = f"{file} cannot be read: {error.strerror}"
        problems.append(Problem(origin.name, problem, "name a file that holds the secret and nothing else"))
    except UnicodeDecodeError:
        problems.append(Problem(origin.name, f"{file} is not UTF-8", "name a file that holds the secret"))
    return origin, None


def _unknown(where: str, name: str, path: Path) -> Iterator[Problem]:
    """A variable that looks like a setting and is none; without ``__`` it may be anybody's unless it comes close."""
    inside = next((path[:length] for length in range(len(path) - 1, 0, -1) if shape_at(path[:length])), ())
    if inside:
        known = {key: variable_of((*inside, key)) for key in keys_at(inside)}
        close = did_you_mean(str(path[len(inside)]), known)
    else:
        known = {one[len(PREFIX) :]: one for one in map(variable_of, [*leaves(), *((key,) for key in keys_at(()))])}
        close = did_you_mean(name[len(PREFIX) :], known, cutoff=0.8)
    if "__" not in name and (close is None or _KUBERNETES.match(name)):
        return
    listed = f"known are {', '.join(known.values())}" if inside and known else "remove it"
    mend = f"did you mean {known[close]}?" if close else listed
    yield Problem(where, "there is no such setting", mend)
