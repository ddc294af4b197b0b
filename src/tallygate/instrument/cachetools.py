"""cachetools: hits and misses of a cache as they happen, and how full it is."""

from __future__ import annotations

import copyreg
from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from math import isfinite
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from tallygate.instrument.patching import Instrumentation, NotInstrumentable
from tallygate.instrument.support.polling import PolledCache, Reading

if TYPE_CHECKING:
    from cachetools import Cache

    from tallygate.record.recorder import Recorder

_ABSENT: Final = object()


def cachetools(
    cache: Cache[Any, Any], *, name: str, in_bytes: bool | None = None, tally: Recorder | None = None
) -> Instrumentation:
    """Record the looks into this cache, by ``cache[key]``, ``get`` and ``@cached``, and how full it is.

    in_bytes: whether its sizes are bytes; None for whether it has a ``getsizeof``. The sizes of one that counts entries
    are told as entries and fill ratio. Entries that have expired count until they are taken out. Caches of one name
    add up. Raises NotInstrumentable for what is no cache of cachetools, or is instrumented already;
    ModuleNotFoundError without the library.
    """
    from cachetools import Cache

    if not isinstance(cache, Cache):
        kind = type(cache).__name__
        raise NotInstrumentable(f"instrument.cachetools() takes a cache of cachetools, such as LRUCache, not {kind}")
    handle = Instrumentation(tally)
    if handle.is_off:
        return handle
    weighs = (
        "getsizeof" in vars(cache) or type(cache).getsizeof is not Cache.getsizeof if in_bytes is None else in_bytes
    )

    def read(cache: Any) -> Reading:
        # Not by the cache's own methods, which may take out what has expired: that is for who holds its lock.
        limit, used = Cache.maxsize.fget(cache), Cache.currsize.fget(cache)  # type: ignore[attr-defined]  # properties
        lifetime = getattr(cache, "ttl", 0)
        return Reading(
            Cache.__len__(cache),
            used / limit if limit > 0 else 0.0,
            limit if weighs and isfinite(limit) else None,
            used if weighs and isfinite(limit) else None,
            lifetime if isinstance(lifetime, (int, float)) and isfinite(lifetime) else 0.0,
        )

    def look(hit: bool) -> None:
        if not handle.removed:
            handle.recorder.cache_lookup(name, hit)

    PolledCache(handle, cache, name, read)
    before = type(cache)
    cache.__class__ = after = counting(before, look)
    kept = ref(cache)  # it may go when nobody else has it

    def undo() -> None:
        cache = kept()
        if cache is not None and cache.__class__ is after:
            cache.__class__ = before

    handle.finally_do(undo)
    return handle


def counting(kind: Any, look: Callable[[bool], None]) -> Any:
    """A class like this one for one cache, which says of every look into it whether it was a hit.

    A cache is for one thread at a time, and so is this. Copies, and what is pickled, are of the class that it was.
    """
    quiet = missed = looked = False

    class Counting(kind):  # type: ignore[misc]  # a class that is known when it runs
        def __getitem__(self, key: Any) -> Any:
            nonlocal missed, looked
            if quiet:
                return kind.__getitem__(self, key)
            missed = False
            try:
                value = kind.__getitem__(self, key)
            except Exception:
                if missed:
                    look(False)
                    looked = True
                raise
            look(not missed)
            looked = True
            return value

        def __missing__(self, key: Any) -> Any:
            nonlocal missed
            try:
                return kind.__missing__(self, key)  # which may look into the cache again
            finally:
                missed = True

        def get(self, key: Any, default: Any = None) -> Any:
            nonlocal looked
            if quiet:
                return kind.get(self, key, default)
            looked = False
            value = kind.get(self, key, _ABSENT)
            if not looked:
                look(value is not _ABSENT)
            return default if value is _ABSENT else value

        def pop(self, *arguments: Any, **named: Any) -> Any:
            return quietly(kind.pop, self, *arguments, **named)

        def popitem(self) -> Any:
            return quietly(kind.popitem, self)

        def setdefault(self, *arguments: Any, **named: Any) -> Any:
            return quietly(kind.setdefault, self, *arguments, **named)

        def items(self) -> ItemsView[Any, Any]:
            return ItemsView(Uncounted(kind, self))

        def values(self) -> ValuesView[Any]:
            return ValuesView(Uncounted(kind, self))

        def __reduce_ex__(self, protocol: Any) -> Any:
            make, arguments, *rest = kind.__reduce_ex__(self, protocol)
            if make is copyreg.__newobj__:  # type: ignore[attr-defined]  # pickle takes it for the object's own class
                make = kind.__new__
            return (make, tuple([kind if argument is Counting else argument for argument in arguments]), *rest)

        def __copy__(self) -> Any:
            copy = super().__copy__()
            copy.__class__ = kind
            return copy

    def quietly(method: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        """Call a method that looks into the cache for purposes of its own."""
        nonlocal quiet
        before, quiet = quiet, True
        try:
            return method(*arguments, **named)
        finally:
            quiet = before

    for name in ("__module__", "__name__", "__qualname__", "__doc__"):
        setattr(Counting, name, getattr(kind, name))
    return Counting


class Uncounted(Mapping[Any, Any]):
    """A cache for who goes through all of it."""

    def __init__(self, kind: Any, cache: Any) -> None:
        self._kind, self._cache = kind, cache

    def __getitem__(self, key: Any) -> Any:
        return self._kind.__getitem__(self._cache, key)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._cache)

    def __len__(self) -> int:
        return len(self._cache)

    def __contains__(self, key: object) -> bool:
        return key in self._cache
