"""Redis and Valkey as caches: what their clients look up, sync and async, alone and in pipelines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Final

from tallygate.facts import CacheLookup
from tallygate.instrument.patching import Instrumentation, NotInstrumentable

if TYPE_CHECKING:
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis
    from valkey import Valkey
    from valkey.asyncio import Valkey as AsyncValkey

    from tallygate.record.recorder import Recorder

ONE_VALUE: Final = frozenset(("GET", "GETDEL", "GETEX", "HGET"))
"""Commands that answer nothing when there is nothing."""
ALL_FIELDS: Final = "HGETALL"
"""Answers no fields when there is nothing."""
KEYS: Final = "MGET"
"""Looks for each of its keys."""
FIELDS: Final = frozenset(("HMGET", "HGETDEL", "HGETEX"))
"""Look for each of several fields of one key."""
_MANY: Final = FIELDS | {KEYS}

_looking: Final[ContextVar[bool]] = ContextVar("tallygate_inside_lookup", default=False)
"""Whether an instrumentation further out records this command already."""


def redis(
    client: Redis | AsyncRedis | None = None,
    *,
    name: str | None = None,
    prefixes: Mapping[str, str] | None = None,
    tally: Recorder | None = None,
) -> Instrumentation:
    """Record what clients of redis-py look up as hits and misses of a cache; with a client, those of its pool only.

    name: of the cache, ``redis`` when nothing else is told. prefixes: names of caches by how their keys begin, the
    longest that fits; keys that begin with none are of the cache ``name``, and not recorded without one. Keys
    themselves are never shown. A command that several instrumentations see is recorded by the latest.

    GET, GETDEL, GETEX, HGET and HGETALL are one look each; MGET, HMGET, HGETDEL and HGETEX one for every key or field.
    Commands of a pipeline are recorded when it has executed. Raises NotInstrumentable for anything that is no client,
    a cluster's among them; ValueError for what is no name; ModuleNotFoundError without the library.
    """
    from redis import Redis
    from redis.asyncio import Redis as AsyncRedis
    from redis.asyncio.client import Pipeline as AsyncPipeline
    from redis.client import Pipeline

    names = _names("redis", name, prefixes)
    return _instrument("redis", client, names, tally, (Redis, Pipeline), (AsyncRedis, AsyncPipeline))


def valkey(
    client: Valkey | AsyncValkey | None = None,
    *,
    name: str | None = None,
    prefixes: Mapping[str, str] | None = None,
    tally: Recorder | None = None,
) -> Instrumentation:
    """As ``redis``, for the clients of valkey-py; the name is ``valkey`` when nothing else is told."""
    from valkey import Valkey
    from valkey.asyncio import Valkey as AsyncValkey
    from valkey.asyncio.client import Pipeline as AsyncPipeline
    from valkey.client import Pipeline

    names = _names("valkey", name, prefixes)
    return _instrument("valkey", client, names, tally, (Valkey, Pipeline), (AsyncValkey, AsyncPipeline))


class Names:
    """The names of caches by what keys begin with."""

    def __init__(self, name: str | None, prefixes: Mapping[str, str]) -> None:
        self._name = name
        longest_first = sorted(prefixes.items(), key=lambda pair: -len(pair[0]))
        self._text = longest_first
        self._bytes = [(prefix.encode(), cache) for prefix, cache in longest_first]
        self.all = tuple(dict.fromkeys((*prefixes.values(), *([] if name is None else [name]))))

    def of(self, key: Any) -> str | None:
        """The cache that a key belongs to; None when it is none that is recorded."""
        if isinstance(key, str):
            return next((cache for prefix, cache in self._text if key.startswith(prefix)), self._name)
        if isinstance(key, (bytes, bytearray, memoryview)):
            start = bytes(key)
            return next((cache for prefix, cache in self._bytes if start.startswith(prefix)), self._name)
        return self.of(str(key))  # a number, which the client writes out


def _names(library: str, name: str | None, prefixes: Mapping[str, str] | None) -> Names:
    if name is None and not prefixes:
        name = library
    for what, given in (("name", name or "-"), *(prefixes or {}).items()):
        if name == "" or not isinstance(given, str) or not given:
            raise ValueError(f"instrument.{library}(): {what}={given!r} is no name of a cache")
    return Names(name, prefixes or {})


def _instrument(
    library: str, client: Any, names: Names, tally: Recorder | None, plain: Sequence[Any], awaited: Sequence[Any]
) -> Instrumentation:
    """plain, awaited: client and pipeline classes, those that answer and those that are awaited."""
    if client is not None and not isinstance(client, (plain[0], awaited[0])):
        takes = f"a client of {library}, sync or async and no cluster's"
        raise NotInstrumentable(f"instrument.{library}() takes {takes}, not {type(client).__name__}")
    handle = Instrumentation(tally)
    if handle.is_off:
        return handle
    lookups = Lookups(handle, names, None if client is None else client.connection_pool)
    for (kind, pipeline), watched in ((plain, _watched), (awaited, _async_watched)):
        handle.wrap(kind, "execute_command", partial(watched, lookups, False))
        handle.wrap(pipeline, "immediate_execute_command", partial(watched, lookups, False))
        handle.wrap(pipeline, "execute", partial(watched, lookups, True))
    return handle


class Lookups:
    """Records what one instrumentation sees."""

    def __init__(self, handle: Instrumentation, names: Names, pool: Any) -> None:
        """pool: of connections, when only its clients are meant."""
        self._handle, self._names, self._pool = handle, names, pool
        self._seed(handle.recorder)
        handle.before_render(self._seed)

    def _seed(self, recorder: Recorder) -> None:
        for name in self._names.all:
            recorder.seed_cache(name)

    def sees(self, client: Any) -> bool:
        """Whether the commands of this client are recorded, and by this instrumentation."""
        return (
            (self._pool is None or client.connection_pool is self._pool)
            and not self._handle.removed
            and not _looking.get()
        )

    def answered(self, commands: Sequence[Sequence[Any]], answers: Any) -> None:
        """These commands, with their names first, had these answers. Never raises."""
        recorder = self._handle.recorder
        try:
            for command, answer in zip(commands, answers, strict=False):
                for key, hit in looks(command, answer):
                    cache = self._names.of(key)
                    if cache is not None:
                        recorder.cache_lookup(cache, hit)
        except Exception as problem:  # telemetry never breaks the program
            recorder.failed(CacheLookup, problem)


def looks(command: Sequence[Any], answer: Any) -> Iterator[tuple[Any, bool]]:
    """The keys that a command looked for, and whether it found them. An answer that is an exception tells nothing."""
    what = command[0]
    if isinstance(what, bytes):
        what = what.decode(errors="replace")
    if what not in ONE_VALUE:
        what = what.upper()
    if isinstance(answer, BaseException):
        return
    if what in ONE_VALUE:
        yield command[1], answer is not None
    elif what == ALL_FIELDS:
        yield command[1], bool(answer)
    elif what in _MANY and isinstance(answer, list):
        for at, value in enumerate(answer):
            yield command[at + 1 if what == KEYS else 1], value is not None


def _watched(lookups: Lookups, pipeline: bool, execute: Callable[..., Any]) -> Callable[..., Any]:
    """pipeline: whether this executes the commands of a pipeline, and not one of its arguments."""

    @wraps(execute)
    def call(self: Any, *arguments: Any, **named: Any) -> Any:
        if not lookups.sees(self):
            return execute(self, *arguments, **named)
        commands = [entry[0] for entry in self.command_stack] if pipeline else [arguments]
        try:
            _looking.set(True)
            answer = execute(self, *arguments, **named)
        finally:
            _looking.set(False)
        lookups.answered(commands, answer if pipeline else [answer])
        return answer

    return call


def _async_watched(lookups: Lookups, pipeline: bool, execute: Callable[..., Any]) -> Callable[..., Any]:
    """As ``_watched``."""

    @wraps(execute)
    async def call(self: Any, *arguments: Any, **named: Any) -> Any:
        if not lookups.sees(self):
            return await execute(self, *arguments, **named)
        commands = [entry[0] for entry in self.command_stack] if pipeline else [arguments]
        try:
            _looking.set(True)
            answer = await execute(self, *arguments, **named)
        finally:
            _looking.set(False)
        lookups.answered(commands, answer if pipeline else [answer])
        return answer

    return call
