"""What a tracker needs of the ledger, found once per set of labels: rows, price, how to mark exemplars."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from tallygate.context import Dimensions, current
from tallygate.errors import ERROR_TYPES, ErrorType
from tallygate.facts import OUTCOMES, LLMCall, LLMInFlight, LLMOutputChunk, UpstreamAttempt
from tallygate.record.failures import shown
from tallygate.record.measures import DURATION, derivation_of

if TYPE_CHECKING:
    from tallygate.declare import Fact
    from tallygate.ledger.interface import Form, Row, Table
    from tallygate.pricing import Price
    from tallygate.record.call import LLMCallTracker
    from tallygate.record.failures import Failures

Exemplifier = Callable[[], tuple[str, str] | None]
"""Tells trace id and span id (hexadecimal) of the sampled span that is current; None when there is none."""

Elsewhere = Callable[[Dimensions | None], "Binding | None"]
"""Finds the rows of the same call in another context; None when its recorder is gone."""

Key = tuple[str, str, str, str, bool, str | None, str | None, str | None, str | None, str | None, str | None]
"""Arguments of a call that are dimensions, in the order of ``ARGUMENTS``."""

ARGUMENTS = (
    "provider",
    "model",
    "operation",
    "endpoint",
    "stream",
    "route",
    "agent_id",
    "agent_name",
    "agent_type",
    "external_agent_id",
    "source",
)
FROM_CONTEXT = ARGUMENTS[5:]
"""Dimensions that a context can set."""

_ENDING = ("status_code", "outcome", "error_type")


class Binding:
    """The rows of calls with the same labels."""

    __slots__ = (
        "_attempts",
        "_form_of",
        "_rows",
        "_table",
        "_values",
        "attempt",
        "chunks",
        "completed",
        "draft",
        "elsewhere",
        "exemplar",
        "failures",
        "form",
        "price",
        "stream",
    )  # fmt: skip

    def __init__(
        self,
        tables: Mapping[type[Fact], Table],
        values: Mapping[str, str],
        price: Price | None,
        exemplar: Exemplifier | None,
        kind: type[LLMCallTracker],
        failures: Failures,
        elsewhere: Elsewhere,
    ) -> None:
        """kind: of tracker. elsewhere: finds the binding of another context. values: by dimension name, the ending left
        out; dimensions not named are empty."""
        self._table = tables[LLMCall]
        self._values = dict.fromkeys(self._table.schema.dimensions, "") | dict(values)
        self._rows: dict[tuple[str, str, str], Row] = {}
        self._attempts: dict[tuple[int | str, str], Row] = {}
        self.attempt = (tables[UpstreamAttempt], values["provider"], values["model"], values["endpoint"])
        """Where attempts are counted, and their provider, model and endpoint unless they say otherwise."""
        self.stream = values["stream"] == "true"
        self.price, self.exemplar, self.failures, self.elsewhere = price, exemplar, failures, elsewhere
        self.chunks = _row(tables[LLMOutputChunk], self._values) if self.stream else None
        self.completed = self.row("200", "completed", "")
        going, direct = _row(tables[LLMInFlight], self._values), not self.stream
        self._form_of = (kind, going, DURATION, derivation_of(price), direct)
        self.form = self.completed.form(*self._form_of, current.get, exemplar)
        self.draft = cast("Callable[[Binding, Dimensions | None], LLMCallTracker]", self.form.draft)
        """Makes a tracker, given this binding and the context that is current."""

    def plain_form(self) -> Form:
        """As ``form``, for calls that are in no context and no trace: their drafts look for neither."""
        return self.completed.form(*self._form_of, None, None)

    def row(self, status_code: str, outcome: str, error_type: str) -> Row:
        """The row of calls that end like this. A word outside its vocabulary is put right, and counted as dropped."""
        if outcome not in OUTCOMES:
            self._wrong("outcome", outcome)
            outcome = "failed" if error_type else "completed"
        if outcome != "failed":
            error_type = ""
        elif error_type not in ERROR_TYPES:
            if error_type:
                self._wrong("error_type", error_type)
            error_type = ErrorType.OTHER.value
        ending = (status_code, outcome, error_type)
        row = self._rows.get(ending)
        if row is None:
            row = _row(self._table, self._values | dict(zip(_ENDING, ending, strict=True)))
            self._rows[ending] = row
        return row

    def _wrong(self, dimension: str, word: str) -> None:
        problem = ValueError(f"{dimension} {shown(word)} is no word of its vocabulary")
        self.failures.add(LLMCall, problem, "invalid_dimension")

    def attempt_row(self, status_code: int | str, error_type: str) -> Row:
        """The row of attempts at the call's own provider, model and endpoint that end like this."""
        row = self._attempts.get((status_code, error_type))
        if row is None:
            table, *where = self.attempt
            row = self._attempts[status_code, error_type] = table.row(*where, str(status_code), error_type)
        return row


def _row(table: Table, values: Mapping[str, str]) -> Row:
    return table.row(*[values[name] for name in table.schema.dimensions])


def values_of(arguments: Mapping[str, object], custom: Mapping[str, str]) -> dict[str, str]:
    """Dimension values by name: unset ones are ''; ``stream`` is 'true' or 'false'."""
    values = {name: "" if given is None else str(given) for name, given in arguments.items()}
    return {**values, "stream": "true" if arguments["stream"] else "false", **custom}
