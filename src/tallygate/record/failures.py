"""When recording itself goes wrong: it is counted and logged, and never reaches the program that is watched."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from tallygate.facts import Dropped
from tallygate.record.credentials import REDACTED, is_credential

if TYPE_CHECKING:
    from tallygate.declare import Fact
    from tallygate.ledger.interface import Table

_log = logging.getLogger("tallygate")


class Failures:
    """Observations that could not be recorded."""

    def __init__(self, tables: Mapping[type[Fact], Table]) -> None:
        self._table = tables.get(Dropped)
        self._logged: set[tuple[str, str]] = set()

    def add(self, fact: type[Fact], problem: Exception, reason: str = "internal") -> None:
        """Count one as dropped, and log the first of its kind."""
        try:
            if self._table is not None:
                self._table.row(fact.__name__, reason).record()
            if (fact.__name__, reason) not in self._logged:
                self._logged.add((fact.__name__, reason))
                what = f"{fact.__name__} not recorded; counted as dropped ({reason}) from now on"
                _log.error("%s: %s", what, problem, exc_info=problem)
        except Exception:  # the last resort: there is nowhere left to say it
            _log.debug("cannot count a dropped observation", exc_info=True)


def shown(value: object) -> str:
    """A wrong value as a message may show it."""
    try:
        return REDACTED if is_credential(text := f"{value!r:.100}") else text
    except Exception:  # its own doing; its type says enough
        return f"a {type(value).__name__}"
