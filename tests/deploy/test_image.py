"""The Dockerfile: what goes into the image, as whom it runs, and how its health is known."""

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tallygate.gateway.settings import load
from tests.deploy import DEPLOY
from tests.deploy.dockerfile import Stage, stages
from tests.gateway.provided import provided
from tests.gateway.running import Gateway

BUILD, FINAL = stages(DEPLOY / "Dockerfile")
ROOT = DEPLOY.parent


def environment(stage: Stage) -> dict[str, str]:
    return dict(re.findall(r"(\w+)=(\S+)", stage.last("ENV")))


def health_command() -> list[str]:
    """As Docker runs it, with this Python."""
    python, *rest = json.loads(FINAL.last("HEALTHCHECK").partition("CMD ")[2])
    assert python == "python"
    return [sys.executable, *rest]


def healthy(port: int) -> bool:
    done = subprocess.run(health_command(), env={"PORT": str(port)}, capture_output=True, check=False)
    return done.returncode == 0


async def test_health_is_known_by_the_image_s_own_command() -> None:
    async with provided() as (gateway, _):
        port = port_of(gateway)
        assert await asyncio.to_thread(healthy, port)
    assert not await asyncio.to_thread(healthy, port)


def port_of(gateway: Gateway) -> int:
    return int(gateway.url.rpartition(":")[2])


def test_nobody_s_privileges() -> None:
    user = FINAL.last("USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user), "numeric: Kubernetes cannot tell a name from root"
    assert f"--uid {user.partition(':')[0]} " in FINAL.last("RUN")
    names = [name for name, _ in FINAL.steps]
    assert "RUN" not in names[names.index("USER") :]


def test_nothing_but_the_package_reaches_the_final_stage() -> None:
    assert FINAL.all("COPY") == ["--from=build /opt/tallygate /opt/tallygate"]
    assert not FINAL.all("ADD")
    assert "gcc" not in " ".join(FINAL.all("RUN"))


@pytest.mark.parametrize("source", ["pyproject.toml", "README.md", "LICENSE", "src"])
def test_what_the_build_copies_is_there_and_not_ignored(source: str) -> None:
    copied = [word for argument in BUILD.all("COPY") for word in argument.split()[:-1]]
    assert source in copied
    assert (ROOT / source).exists()
    assert f"!{source}" in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()


def test_the_environment_are_settings_and_state_is_on_the_volume() -> None:
    settings = load(environ={**environment(FINAL), "OPENAI_API_KEY": "sk-x"})
    volume = Path(FINAL.last("VOLUME"))
    assert settings.server.host == "0.0.0.0"
    assert settings.shared.state_directory.is_relative_to(volume)
    assert settings.metrics.state_directory is not None
    assert settings.metrics.state_directory.is_relative_to(volume)
    assert FINAL.last("EXPOSE").split() == [str(settings.server.port), "3131"]


def test_it_serves() -> None:
    command = [*json.loads(FINAL.last("ENTRYPOINT")), *json.loads(FINAL.last("CMD"))]
    assert command == ["tallygate", "serve"]
    done = subprocess.run(
        [sys.executable, "-m", "tallygate.cli", *command[1:], "--help"], capture_output=True, check=True
    )
    assert b"--config" in done.stdout
