"""Reading a configuration file: TOML or YAML, with ``${VAR}`` and ``${VAR:-default}`` in its values."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from tallygate.gateway.settings.problems import Problem, shown
from tallygate.gateway.settings.shape import Path
from tallygate.gateway.settings.tree import dotted

_REFERENCE = re.compile(r"\$\$(?=\{)|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}|(?P<bad>\$\{)")
"""An escaped ``$${``, a reference, or the beginning of something that is none."""


class FileReader:
    """Reads one file, and remembers what was wrong and which variables it asked for."""

    def __init__(self, file: FilePath, variables: Mapping[str, str]) -> None:
        self._file, self._variables = file, variables
        self.problems: list[Problem] = []
        self.asked_for: set[str] = set()

    def read(self) -> dict[str, Any]:
        """The file's settings, references filled in; what is wrong goes to ``problems``."""
        data = self._parse()
        filled = self._fill(data, ()) if isinstance(data, dict) else {}
        if data is not None and not isinstance(data, dict):
            self._problem("is no table of settings", "write sections such as server: and providers:")
        return filled if isinstance(filled, dict) else {}

    def _parse(self) -> Any:
        try:
            text = self._file.read_text(encoding="utf-8")
        except OSError as error:
            return self._problem(f"cannot be read: {error.strerror}", "check the path and its permissions")
        except UnicodeDecodeError:
            return self._problem("is not UTF-8", "save it as UTF-8")
        match self._file.suffix.lower():
            case ".toml":
                return self._toml(text)
            case ".yaml" | ".yml":
                return self._yaml(text)
            case suffix:
                return self._problem(f"cannot be read as {suffix!r}", "name it .toml, .yaml or .yml")

    def _toml(self, text: str) -> Any:
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            return self._problem(f"is no TOML: {error}", "mend the syntax there")

    def _yaml(self, text: str) -> Any:
        import yaml

        try:
            return yaml.safe_load(text)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            place = f" (at line {mark.line + 1}, column {mark.column + 1})" if mark else ""
            return self._problem(f"is no YAML: {error.problem}{place}", "mend the syntax there")
        except (yaml.YAMLError, ValueError) as error:
            return self._problem(f"is no YAML: {str(error).splitlines()[0]}", "mend the syntax there")

    def _fill(self, value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            filled = {}
            for key, one in value.items():
                if isinstance(key, str):
                    filled[key] = self._fill(one, (*path, key))
                else:
                    self._problem(f"has the key {key!r}, which is no text", "put it in quotes", path)
            return filled
        if isinstance(value, list):
            return [self._fill(one, (*path, index)) for index, one in enumerate(value)]
        return self._expand(value, path) if isinstance(value, str) else value

    def _expand(self, text: str, path: Path) -> str:
        def filled(match: re.Match[str]) -> str:
            name, default = match["name"], match["default"]
            if match["bad"]:
                problem = "has a ${ that begins no ${VAR} or ${VAR:-default}"
                self._problem(problem, "close it, or write $${ for the characters themselves", path)
            elif name:
                self.asked_for.add(name)
                value = self._variables.get(name)
                if default is not None:
                    return value or str(default.removeprefix(":-"))
                if value is not None:
                    return value
                mend = f"set it, or give a default: ${{{name}:-...}}"
                self._problem(f"the environment variable {name} is not set", mend, path, shown(f"${{{name}}}"))
            return match[0] if match["bad"] or name else "$"

        return _REFERENCE.sub(filled, text)

    def _problem(self, problem: str, mend: str, path: Path = (), value: str = "") -> None:
        where = f"{dotted(path)} in {self._file}" if path else str(self._file)
        self.problems.append(Problem(where, problem, mend, value))
