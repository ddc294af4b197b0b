"""The compose file, read: its variables filled in, its secrets made."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy import DEPLOY

COMPOSE = DEPLOY / "compose"
FILE: dict[str, Any] = yaml.safe_load((COMPOSE / "compose.yaml").read_text())


def names(entries: Any) -> set[str]:
    """The names in a list or table of a service: networks, secrets, configs, depends_on."""
    return {entry["source"] if isinstance(entry, dict) else entry for entry in entries}


def variables() -> dict[str, str]:
    """Of .env.example."""
    lines = (COMPOSE / ".env.example").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def filled(value: str, given: dict[str, str] | None = None) -> str:
    """With the variables of .env.example, or others, in their places."""
    values = variables() | (given or {})
    return re.sub(r"\$\{(\w+):-[^}]*\}", lambda match: values[match[1]], value)


def environment(service: str, secrets: Path) -> dict[str, str]:
    """What a gateway of the compose file finds in its environment, its secrets below another directory."""
    return {
        name: filled(str(value)).replace("/run/secrets", str(secrets))
        for name, value in FILE["services"][service]["environment"].items()
    }


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the script makes."""
    directory = tmp_path_factory.mktemp("compose")
    shutil.copy(COMPOSE / "make-secrets", directory)
    subprocess.run([directory / "make-secrets"], check=True, env={**os.environ, "OPENAI_API_KEY": "sk-real"})
    return directory / "secrets"
