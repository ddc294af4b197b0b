"""Each instrumentation needs its own library and no other: programs in which every other one cannot be imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tallygate import instrument

LIBRARIES = frozenset(
    {
        "aiohttp",
        "anthropic",
        "asyncpg",
        "cachetools",
        "django",
        "fastapi",
        "flask",
        "google",
        "httpx",
        "httpx2",
        "msgspec",
        "openai",
        "prometheus_client",
        "psycopg",
        "redis",
        "sqlalchemy",
        "starlette",
        "valkey",
    }
)

NEEDS: dict[str, tuple[frozenset[str], str]] = {
    "aiohttp": (frozenset({"aiohttp", "msgspec"}), "instrument.aiohttp()"),
    "anthropic": (frozenset({"anthropic", "httpx2", "httpx"}), "instrument.anthropic()"),
    "asgi": (frozenset({"starlette"}), "from starlette.applications import Starlette; instrument.asgi(Starlette())"),
    "asyncio": (frozenset(), "import asyncio; instrument.asyncio(asyncio.new_event_loop())"),
    "asyncpg": (frozenset({"asyncpg"}), "instrument.asyncpg()"),
    "cachetools": (
        frozenset({"cachetools"}),
        "import cachetools; instrument.cachetools(cachetools.LRUCache(9), name='c')",
    ),
    "django": (frozenset({"django"}), "instrument.django()"),
    "flask": (frozenset({"flask"}), "import flask; instrument.flask(flask.Flask('app'))"),
    "gc": (frozenset(), "instrument.gc()"),
    "google_genai": (frozenset({"google", "httpx", "aiohttp"}), "instrument.google_genai()"),
    "httpx": (frozenset({"httpx", "msgspec"}), "instrument.httpx()"),
    "lru_cache": (
        frozenset(),
        "import functools; instrument.lru_cache(functools.lru_cache(abs), name='abs')",
    ),
    "openai": (frozenset({"openai", "httpx2"}), "instrument.openai()"),
    "process": (frozenset(), "instrument.process()"),
    "prometheus_client": (frozenset({"prometheus_client"}), "instrument.prometheus_client()"),
    "psycopg": (frozenset({"psycopg"}), "instrument.psycopg()"),
    "redis": (frozenset({"redis"}), "instrument.redis()"),
    "runtime": (frozenset(), "instrument.runtime()"),
    "sqlalchemy": (frozenset({"sqlalchemy"}), "instrument.sqlalchemy()"),
    "valkey": (frozenset({"valkey"}), "instrument.valkey()"),
    "wsgi": (frozenset(), "import sys; sys.app = lambda environ, start: []; instrument.wsgi(sys, 'app')"),
}
"""What each needs, and a program that uses it."""

PROGRAM = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
from tallygate import instrument
import tallygate
handle = None
def keep(made):
    global handle
    handle = made
tallygate.init()
{statement}
handle.remove()
print(isinstance(handle, instrument.Instrumentation))
"""


@pytest.mark.parametrize("name", sorted(NEEDS))
def test_each_works_with_only_its_own_library(name: str) -> None:
    needed, statement = NEEDS[name]
    *before, last = statement.split("; ")
    program = PROGRAM.format(absent=LIBRARIES - needed, statement="; ".join([*before, f"keep({last})"]))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_all_of_them_are_here() -> None:
    assert sorted(NEEDS) == sorted(name for name in instrument.__all__ if name.islower())
