"""The pages "coming from X": every name on them exists, and no family of X's dialect is missing."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import tallygate.instrument
from tallygate.dialects import DIALECTS
from tallygate.errors import ERROR_TYPES
from tallygate.gateway.settings import Settings
from tests.docs.pages import FENCE, ROOT

SYSTEMS = ("archestra", "aurora", "erato", "gatewayz", "hyperagent")
SETTINGS = (ROOT / "docs/configuration.md").read_text()
CODE = re.compile(r"`([^`]+)`")
NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


def page(system: str) -> str:
    return FENCE.sub("", (ROOT / f"docs/coming-from/{system}.md").read_text())


def rows(system: str, heading: str) -> list[list[list[str]]]:
    """The tables under a heading: per row and cell, what is written as code."""
    _, _, rest = page(system).partition(f"\n## {heading}\n")
    section = rest.partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    lines = [line for line in lines if not line.startswith(("| in ", "| --- "))]
    return [[CODE.findall(cell) for cell in line.strip("|").split(" | ")] for line in lines]


def test_every_system_has_its_page() -> None:
    assert sorted(path.stem for path in Path(ROOT / "docs/coming-from").glob("*.md")) == sorted(SYSTEMS)


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_families_are_those_of_the_dialect(system: str) -> None:
    told = [name for row in rows(system, "Metrics") for name in row[0]]
    assert len(told) == len(set(told))
    assert set(told) == {family.name for family in DIALECTS[system]}


@pytest.mark.parametrize("system", SYSTEMS)
def test_our_own_names_exist(system: str) -> None:
    ours = {family.name for family in DIALECTS["tallygate"]}
    for row in rows(system, "Metrics"):
        assert row[1], f"{row[0]}: what is it here?"
        assert set(row[1]) <= ours, row[0]


@pytest.mark.parametrize("system", SYSTEMS)
def test_names_in_the_text_exist(system: str) -> None:
    """Whatever looks like a family of ours is one."""
    ours = {name for family in DIALECTS["tallygate"] for name in family.owned_names}
    told = {name for name in CODE.findall(page(system)) if name.startswith("tallygate_") and NAME.match(name)}
    assert told <= ours


def is_setting(word: str) -> bool:
    """Whether it is a setting of the gateway, a variable it reads, or a function of ours."""
    if word.endswith(")"):
        function = word.partition("(")[0].removeprefix("tallygate.")
        owner: object = tallygate
        for part in function.split("."):
            owner = getattr(owner, part, None)
        return callable(owner)
    if word.isupper():
        path = word.removeprefix("TALLYGATE_").lower().replace("__", ".")
        return f"`{word}`" in SETTINGS or (word.startswith("TALLYGATE_") and is_setting(path))
    section, _, name = word.rpartition(".")
    if not section:
        return name in Settings.model_fields
    _, there, rest = SETTINGS.partition(f"### `{section}`\n")
    return bool(there) and f"| `{name}` |" in rest.partition("\n### ")[0]


@pytest.mark.parametrize("system", SYSTEMS)
def test_settings_exist(system: str) -> None:
    told = [word for row in rows(system, "Configuration") for word in row[1]]
    assert told
    assert [word for word in told if not is_setting(word)] == []


@pytest.mark.parametrize("system", ["erato", "hyperagent"])
def test_the_words_of_errors_are_those_of_the_dialect(system: str) -> None:
    words: dict[str, str] = importlib.import_module(f"tallygate.dialects.{system}").ERROR_WORDS
    told = {ours: row[0][0] for row in rows(system, "Words of `error_type`") for ours in row[1]}
    assert told == words
    assert set(told) == set(ERROR_TYPES)


@pytest.mark.parametrize("system", ["gatewayz", "hyperagent"])
def test_the_functions_exist(system: str) -> None:
    """Those of the other system in the module that takes its place, all of them; ours in the package."""
    module = importlib.import_module(f"tallygate.dialects.{system}")
    table = rows(system, "Functions")
    told = [name.partition("(")[0] for theirs, *_ in table for name in theirs]
    assert sorted(told) == sorted(name for name in module.__all__ if not name.isupper() and name != "PrometheusHandle")
    assert [name for _, ours, *_ in table for name in ours if not is_setting(name)] == []


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_page_says_what_is_mended_and_what_is_not_there_yet(system: str) -> None:
    headings = re.findall(r"^## (.+)$", page(system), re.MULTILINE)
    assert headings[-2:] == ["Mended", "Not yet"]
