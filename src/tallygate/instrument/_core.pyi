from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from tallygate.ledger.interface import Row as AnyRow

class Form: ...
class Row: ...

class Reading:
    def __new__(
        cls,
        usage: str,
        counts: tuple[tuple[tuple[str, ...], ...], ...],
        tests: tuple[tuple[tuple[str, ...], tuple[object, ...], bool], ...],
        total: str,
        closed: bool,
        /,
    ) -> Reading: ...
    def read(self, reply: object, /) -> tuple[int, int, int, int, int] | None: ...

class Delta:
    def __new__(
        cls,
        tests: tuple[tuple[tuple[str, ...], tuple[object, ...], bool], ...],
        sayings: tuple[tuple[str, ...], ...],
        /,
    ) -> Delta: ...
    def see(self, draft: object, row: object, event: object, /) -> bool: ...

class Routine:
    def __new__(
        cls,
        form: object,
        owner: object,
        measures: tuple[int, ...],
        request: AnyRow,
        reading: Reading,
        about: object,
        guards: tuple[tuple[dict[str, Any] | None, str, object], ...],
        /,
    ) -> Routine: ...

class RoutineCall:
    @property
    def about(self) -> Any: ...
    @property
    def tracker(self) -> Any: ...
    @property
    def answer(self) -> Any: ...
    @property
    def since_sent(self) -> float | None: ...
    @property
    def seconds(self) -> float | None: ...
    full: Any

class Routines:
    def __new__(
        cls, place: str, current: ContextVar[Any], ongoing: ContextVar[Any], labels: tuple[tuple[str, ...], ...], /
    ) -> Routines: ...
    def begin(self, client: object, request: object, stream: object, /) -> RoutineCall | None: ...
    def leave(self) -> RoutineCall | None: ...
    def arrive(self, call: object, response: object, stream: object, /) -> bool: ...
    def end(self, call: object, reply: object, /) -> bool: ...

class Exchange:
    def __new__(
        cls,
        live: AnyRow,
        find: Callable[[Any, int | str], AnyRow | None],
        told: Callable[[Any, int], int],
        scope: Any,
        receive: Any,
        send: Any,
        /,
    ) -> Exchange: ...
    def receive(self) -> Any: ...
    def send(self, message: Any, /) -> Any: ...
    def finish(self, otherwise: str, /) -> None: ...
