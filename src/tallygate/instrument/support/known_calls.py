"""Calls of an SDK like one before. The ledger's compiled core records those by itself; without it there are none."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

from tallygate.context import Dimensions, current
from tallygate.facts import LLMCall
from tallygate.instrument.support.llm_calls import ObservedCall, Reader
from tallygate.instrument.support.once import inside
from tallygate.record.binding import Binding
from tallygate.record.default import default
from tallygate.record.measures import USAGE

if TYPE_CHECKING:
    from weakref import WeakSet

    from tallygate.instrument._core import Delta, Reading, Routine, RoutineCall, Routines
    from tallygate.instrument.support.watchers import Watchers

try:
    from tallygate.instrument import _core
except ImportError:
    _core = None  # type: ignore[assignment]  # not built

MOST_KNOWN: Final = 1024
"""How many kinds of calls are known at a place; more are looked up again, which is slower and as exact."""
PLACE: Final = "_tallygate_place"
"""Attribute of a client with its ``ClientPlace``."""

Path = tuple[str, ...]
"""Names of members within members, of objects or dicts; '*' stands for all items of a list."""
_new: Final = object.__new__


class ReplyReader(Reader, Protocol):
    """Also knows in short what nearly all replies of its API say."""

    @property
    def reading(self) -> Reading | None:
        """See ``reading``; None when all are read in full."""


def reading(
    usage: str,
    *,
    input_tokens: tuple[Path, ...],
    output_tokens: tuple[Path, ...],
    cache_read: tuple[Path, ...] = (),
    cache_write: tuple[Path, ...] = (),
    reasoning: tuple[Path, ...] = (),
    total: str = "",
    must: tuple[tuple[Path, tuple[object, ...]], ...] = (),
    never: tuple[tuple[Path, tuple[object, ...]], ...] = (),
    closed: bool = False,
) -> Reading | None:
    """Where nearly all replies of an API tell their usage, so that ``Reader.whole`` would find the same there.

    usage: the member that has it; the paths of counts begin there, and several are a sum. The first of input and of
    output must be told. total: what has to be input and output together when there is reasoning. must, never: values
    that members of the reply have to have, or must not have; None for what is not there. closed: whether members that
    the library's objects were not foreseen to have may be counts, too: then they are read in full.
    """
    if _core is None:
        return None
    counts = (input_tokens, output_tokens, cache_read, cache_write, reasoning)
    tests = (*((*test, True) for test in must), *((*test, False) for test in never))
    return _core.Reading(usage, counts, tests, total, closed)


def delta(*says: Path, must: tuple[tuple[Path, tuple[object, ...]], ...] = ()) -> Delta | None:
    """Which events of an API's streams are a piece of content, and for ``Reader.event`` nothing else.

    says: where content may be. must: values that members have to have, None for what is not there.
    """
    return None if _core is None else _core.Delta(tuple((*test, True) for test in must), says)


class Unroutine:
    """Stands in for ``Routines`` where nothing is known."""

    def begin(self, client: object, request: object, stream: object) -> None:
        """As Routines.begin."""

    def leave(self) -> None:
        """As Routines.leave."""

    def arrive(self, call: object, response: object, stream: object) -> bool:
        """As Routines.arrive."""
        return False

    def end(self, call: object, reply: object) -> bool:
        """As Routines.end."""
        return False


def routines(*labels: Path) -> Routines | Unroutine:
    """The known calls of a library. labels: where a request, or the dict of its arguments, has those of a call."""
    return Unroutine() if _core is None else _core.Routines(PLACE, current, inside, labels)


class ClientPlace(dict[tuple[object, ...], "Routine"]):
    """Where a client's calls go, and by labels and context how known ones are recorded, until something changes."""

    __slots__ = ("__weakref__", "guards", "provider")

    def __init__(self, provider: str, watchers: Watchers, *guards: tuple[dict[str, Any] | None, str, object]) -> None:
        """guards: a dict (None for the client's own), a key, and the value that has to be there for this to hold."""
        everybody: WeakSet[Any] = watchers.everybody
        self.provider = provider
        self.guards = (*guards, (vars(watchers), "everybody", everybody), (vars(default), "recorder", default.recorder))
        everybody.add(self)

    __hash__ = object.__hash__  # type: ignore[assignment]  # it is known by its identity

    def __eq__(self, other: object) -> bool:
        return self is other

    def holds(self, client: Any) -> bool:
        """Whether nothing has changed."""
        own = vars(client)
        return all((own if there is None else there).get(key) is value for there, key, value in self.guards)

    def learn(self, labels: tuple[str, ...], context: Dimensions | None, call: SDKCall, binding: Binding) -> None:
        """Calls like this one are known from here on."""
        reader: Any = call.reader
        if _core is None or reader.reading is None or not isinstance(binding.form, _core.Form):
            return
        if len(self) >= MOST_KNOWN:
            self.clear()
        self[*labels, context] = _core.Routine(
            binding.form,
            binding,
            USAGE,
            binding.attempt_row(200, ""),
            reader.reading,
            (call.recorder, reader),
            self.guards,
        )

    def forget(self) -> None:
        """What is known holds no longer, and must not keep its tally."""
        self.clear()


class SDKCall(ObservedCall):
    """A call of such an SDK."""

    underway = False
    """Whether a request of it is being sent just now."""
    asked = False
    """Whether an HTTP client was asked for the answer of that request; for those who see its own retries."""
    learns: tuple[ClientPlace, tuple[str, ...], Dimensions | None] | None = None
    """Where calls like this become known, when it ends well."""


def in_full(call: SDKCall | RoutineCall) -> SDKCall:
    """This call as one that can be told whatever may happen."""
    if isinstance(call, SDKCall):
        return call
    full: SDKCall | None = call.full
    if full is None:
        full = call.full = _new(SDKCall)
        full.recorder, full.reader = call.about
        full.tracker, full.stream = call.tracker, False
        since_sent, seconds = call.since_sent, call.seconds
        if since_sent is not None:
            full.sent, full.underway = perf_counter() - since_sent, seconds is None
        if seconds is not None:
            full.seconds, full.status, full.answer = seconds, 200, call.answer
    return full


def ongoing() -> SDKCall | None:
    """The call that is being made here; None when there is none."""
    call: Any = inside.get()
    known = isinstance(call, SDKCall) or (_core is not None and type(call) is _core.RoutineCall)
    return in_full(call) if known else None


def now_sending() -> SDKCall | None:
    """The call of which a request leaves here; None when there is none, or it leaves already."""
    call = ongoing()
    if call is None or call.underway:
        return None
    call.underway, call.asked = True, False
    call.sending()
    return call


def learn(call: SDKCall, watchers: Watchers) -> None:
    """Calls like this one, which has ended, are known from here on if it ended well."""
    if call.learns is None or call.failure is not None or call.status != 200:
        return
    place, labels, context = call.learns
    binding = call.tracker.owner
    if isinstance(binding, Binding) and place in watchers.everybody:  # else it is recorded nowhere, or no longer
        try:
            place.learn(labels, context, call, binding)
        except Exception as problem:
            call.recorder.failed(LLMCall, problem)
