"""Writing facts: one method per kind of event. None of them ever raises into the program that is watched."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast
from weakref import ref

from tallygate.context import Dimensions, current
from tallygate.declare import Fact
from tallygate.facts import GatewayPhase, HTTPInFlight, HTTPRequest, LLMCall
from tallygate.pricing import PriceList
from tallygate.record.accounts import AccountRecording
from tallygate.record.binding import ARGUMENTS, FROM_CONTEXT, Binding, Exemplifier, Key, values_of
from tallygate.record.caches import CacheRecording
from tallygate.record.call import LLMCallTracker
from tallygate.record.databases import QueryRecording
from tallygate.record.default import default
from tallygate.record.failover import FailoverRecording
from tallygate.record.http import METHODS, HTTPRecording
from tallygate.record.late import LateCall
from tallygate.record.nothing import NO_ACTIVITY, NO_CALL
from tallygate.record.recording import may_be_kept
from tallygate.record.tools import ToolRecording
from tallygate.record.work import WorkRecording

if TYPE_CHECKING:
    from tallygate.ledger.interface import Activity, Row, Table

UNKNOWN_MODEL = "other"
"""Label of a model that nobody knows."""
NO_LABELS: Mapping[str, str | None] = MappingProxyType({})
MOST_BINDINGS = 4096
"""How many label sets are kept bound; more are looked up again, which is slower and as exact."""


class Recorder(
    HTTPRecording,
    ToolRecording,
    CacheRecording,
    QueryRecording,
    WorkRecording,
    AccountRecording,
    FailoverRecording,
):
    """The writing half of a tally.

    tables: the ledger's, by fact. custom_labels: label names by the configuration's key, see ``record.labels``.
    known_models: when given, models that are neither among them nor in the price catalogue are labelled 'other'.
    identities: see ``tallygate.identities``. exemplar: asked when a call ends for the trace it belongs to.
    """

    def __init__(
        self,
        tables: Mapping[type[Fact], Table],
        prices: PriceList,
        *,
        custom_labels: Mapping[str, str] | None = None,
        known_models: Collection[str] | None = None,
        exemplar: Exemplifier | None = None,
        identities: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(tables, exemplar, custom_labels, identities)
        self.prices = prices
        self.bindings: dict[tuple[object, ...], Binding] = {}
        self.http_rows: dict[tuple[str, str, int | str], Row] = {}
        """Rows of served HTTP requests by method, route and status, for those who look here before ``http_row``."""
        self._http_live: Row | None = None
        self._known_models = None if known_models is None else frozenset(known_models)
        self._tracker: type[LLMCallTracker] = tables[LLMCall].draft_kind(LLMCallTracker) if tables else LLMCallTracker

    # LLM calls

    def track_llm_call(
        self,
        provider: str,
        model: str,
        operation: str = "chat",
        endpoint: str = "",
        route: str | None = None,
        stream: bool = False,
        agent_id: str | None = None,
        agent_name: str | None = None,
        agent_type: str | None = None,
        external_agent_id: str | None = None,
        source: str | None = None,
        **custom: str | None,
    ) -> LLMCallTracker:
        """A tracker for one call; its clock starts when its block is entered or with ``start``.

        operation: chat, text_completion, embeddings or generate_content. endpoint: path of the provider's API. What is
        None comes from the ``context``. custom: values of the configured custom labels, by key or label name.
        """
        if not self.enabled:
            return NO_CALL
        try:
            key = (
                provider, model, operation, endpoint, stream, route, agent_id, agent_name, agent_type,
                external_agent_id, source,
            )  # fmt: skip
            context = current.get()
            if custom or self.identities is not None:
                custom = dict(self.identified(custom))
            if context is None and not custom:
                binding = self.bindings.get(key)
            else:
                binding = self.bindings.get((key, context, tuple(custom.items())))
            # Labels are only made for calls that start.
            return self._late(key, custom) if binding is None else binding.draft(binding, context)
        except TypeError:  # a value that has no hash
            return self._late(key, custom)

    def _late(self, key: Key, custom: Mapping[str, str | None]) -> LLMCallTracker:
        return cast("LLMCallTracker", LateCall(lambda: self._track_now(key, custom)))

    def _track_now(self, key: Key, custom: Mapping[str, str | None]) -> LLMCallTracker:
        context = current.get()
        try:
            key = cast("Key", tuple(map(_hashable, key)))
            binding = self.bind(key, context, {name: _hashable(value) for name, value in custom.items()})
            return binding.draft(binding, context)
        except Exception as problem:
            self.failed(LLMCall, problem)
            return NO_CALL

    def refused_llm_call(
        self,
        *,
        status_code: int | str,
        error_type: str,
        operation: str = "chat",
        endpoint: str = "",
        stream: bool = False,
        provider: str = "unknown",
        model: str = UNKNOWN_MODEL,
        **dimensions: str | None,
    ) -> None:
        """A call that was refused before it went anywhere: counted as failed, without any time or tokens."""
        if not self.enabled:
            return
        try:
            given = {name: dimensions.pop(name, None) for name in FROM_CONTEXT}
            key: Key = (provider, model, operation, endpoint, stream, *given.values())  # type: ignore[assignment]  # the length of given is not known to the checker
            self.bind(key, current.get(), self.identified(dimensions)).row(
                str(status_code), "failed", error_type
            ).record()
        except Exception as problem:
            self.failed(LLMCall, problem)

    def seed_llm(
        self,
        *,
        provider: str,
        model: str,
        operation: str = "chat",
        endpoint: str = "",
        stream: bool = False,
        **dimensions: str | None,
    ) -> None:
        """Let these labels show at 0 before the first call: completed, and failed by the provider."""
        if not self.enabled:
            return
        try:
            given = {name: dimensions.pop(name, None) for name in FROM_CONTEXT}
            key: Key = (provider, model, operation, endpoint, stream, *given.values())  # type: ignore[assignment]  # as above
            self.bind(key, current.get(), dimensions).row("500", "failed", "provider_server_error")
        except Exception as problem:
            self.failed(LLMCall, problem)

    def canonical_model(self, provider: str, model: str) -> str | None:
        """The configured or catalogued name that ``model`` means at ``provider``; None when nobody knows it.

        There are only so many such names, so they are safe as label values.
        """
        return self.prices.canonical_model(provider, model)

    def bind(
        self, key: Key, context: Dimensions | None = None, custom: Mapping[str, str | None] = NO_LABELS
    ) -> Binding:
        """Rows and price of calls with these labels: what the key leaves unset is taken from the context."""
        place = (key, context, tuple(custom.items())) if context or custom else key
        found = self.bindings.get(place)
        if found is not None:
            return found
        labels: dict[str, str] = {}
        arguments = dict(zip(ARGUMENTS, key, strict=True))
        for name, value in context or ():
            if name not in FROM_CONTEXT:
                self.label(labels, name, value, LLMCall)
            elif arguments[name] is None:
                arguments[name] = value
        for name, given in custom.items():
            if given is not None:
                self.label(labels, name, given, LLMCall)
        values = {
            name: value if name in labels else self.text(LLMCall, value)
            for name, value in values_of(arguments, labels).items()
        }
        values["operation"] = self.word(LLMCall, "operation", values["operation"], LLMCall.operation.values, "chat")
        provider, model = values["provider"], values["model"]
        if self._known_models is not None and model not in self._known_models:
            values["model"] = self.prices.canonical_model(provider, model) or UNKNOWN_MODEL
        this = ref(self)  # bindings do not keep their recorder

        def elsewhere(context: Dimensions | None) -> Binding | None:
            recorder = this()
            return None if recorder is None else recorder.bind(key, context, custom)

        price = self.prices.price_of(provider, model)
        binding = Binding(self.tables, values, price, self.exemplar, self._tracker, self._failures, elsewhere)
        if may_be_kept(place):
            if len(self.bindings) >= MOST_BINDINGS:
                self.bindings.clear()
            self.bindings[place] = binding
        return binding

    # The gateway and other HTTP servers

    def http_request(
        self,
        *,
        method: str,
        route: str,
        status_code: int | str,
        seconds: float,
        request_size: int | None = None,
        response_size: int | None = None,
    ) -> None:
        """An HTTP request was served. route: its template. Sizes in bytes, None when not known."""
        if not self.enabled:
            return
        try:
            row = self.http_rows.get((method, route, status_code)) or self.http_row(method, route, status_code)
            row.record(seconds, request_size, response_size)
        except Exception as problem:
            self.failed(HTTPRequest, problem)

    def http_row(self, method: str, route: str, status_code: int | str) -> Row:
        """The row of requests that ended so. Only where something is recorded."""
        row = self.tables[HTTPRequest].row(method if method in METHODS else "OTHER", route, str(status_code))
        if method in METHODS and len(self.http_rows) < MOST_BINDINGS:
            self.http_rows[method, route, status_code] = row
        return row

    def http_live_row(self) -> Row:
        """The row whose first measure counts the requests that are being served. Only where something is recorded."""
        if self._http_live is None:
            self._http_live = self.tables[HTTPInFlight].row()
        return self._http_live

    def http_in_flight(self) -> Activity:
        """Count an HTTP request as being served until ``finish()`` of the result, or its end."""
        if not self.enabled:
            return NO_ACTIVITY
        try:
            return self.http_live_row().begin()
        except Exception as problem:
            self.failed(HTTPInFlight, problem)
            return NO_ACTIVITY

    def gateway_phase(self, endpoint: str, phase: str, status: str, stream: str, seconds: float) -> None:
        """A step of a request's way took so long. The words are those of ``facts.GatewayPhase``."""
        if not self.enabled:
            return
        try:
            self.tables[GatewayPhase].row(endpoint, phase, status, stream).record(seconds)
        except Exception as problem:
            self.failed(GatewayPhase, problem)


def _hashable(value: Any) -> Any:
    """This value of a dimension, as its text when it is none that can be looked up."""
    return value if value is None or isinstance(value, (str, bool)) else str(value)


default.nowhere = default.recorder = Recorder({}, PriceList())
