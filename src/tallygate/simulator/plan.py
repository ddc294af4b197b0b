"""What will be done with a request, decided before anything is sent; equal requests share a plan."""

import gzip
from collections.abc import Iterator
from dataclasses import dataclass, replace

import msgspec

from tallygate.simulator.answer import Answer, Ask, answer_of
from tallygate.simulator.apis.api import Api, Event, InvalidRequest, Refusal
from tallygate.simulator.behaviours import BREAKS, NO_MARKS, PACED, REFUSALS, marks_of
from tallygate.simulator.frames import (
    LAST_CHUNK,
    Framing,
    Gzip,
    Headers,
    JSONArray,
    Plain,
    ServerSentEvents,
    chunk,
    head,
)
from tallygate.simulator.routes import Route
from tallygate.simulator.served import Kind, Sent
from tallygate.simulator.settings import Settings

GZIP = (b"content-encoding", b"gzip")
NO_CACHE = (b"cache-control", b"no-cache")
LARGEST_INSTANT = 4096
"""Output tokens of the longest stream that is made beforehand and sent in one write."""
HTML = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)


@dataclass(frozen=True, slots=True)
class Instant:
    """A reply that is known whole and leaves in one write."""

    data: bytes
    """Head and body."""
    body: bytes
    """The body without HTTP's framing, as a client reads it."""
    kind: Kind
    sent: Sent


@dataclass(frozen=True, slots=True)
class Plan:
    """One request's treatment."""

    api: Api
    answer: Answer
    refusal: Refusal | None = None
    """Set when the reply is an error."""
    instant: Instant | None = None
    """Set when the reply can leave at once; needs a connection that is kept alive."""
    broken: str = ""
    """The break in the middle of the body, out of ``behaviours.BREAKS``."""

    def kind(self, outcome: str, status: int) -> Kind:
        """What the call is counted as."""
        ask = self.answer.ask
        return Kind(self.api.name, ask.model, ask.stream, self.answer.marks.label, outcome, status)

    def headers(self) -> Headers:
        """The reply's headers, type and length apart."""
        own = self.refusal.headers if self.refusal is not None else ()
        coding = (GZIP,) if "gzip" in self.answer.marks else ()
        caching = (NO_CACHE,) if self.refusal is None and self.answer.ask.stream else ()
        return (*caching, *coding, *own, *self.api.headers(self.answer))

    def framing(self) -> Framing:
        """How the stream's events follow each other."""
        if not self.answer.ask.event_stream:
            return JSONArray()
        return ServerSentEvents(b"\r\n" if "crlf" in self.answer.marks else self.api.newline)

    @property
    def stream_type(self) -> bytes:
        """Content type of the stream."""
        return self.api.stream_type if self.answer.ask.event_stream else b"application/json; charset=UTF-8"

    def coder(self) -> Plain | Gzip:
        """The body's content coding."""
        return Gzip() if "gzip" in self.answer.marks else Plain()


def plan_of(route: Route, target: bytes, body: bytes, settings: Settings, misbehaves: bool) -> Plan:
    """Read a request and decide; never raises for what a client sends."""
    api = route.api
    identity = b"%s\n%s" % (target, body)
    try:
        document = msgspec.json.decode(body)
        if not isinstance(document, dict):
            raise InvalidRequest("the body must be a JSON object")
        ask = api.read(document, route.model, route.query)
    except (msgspec.DecodeError, InvalidRequest, RecursionError) as error:
        parameter = error.parameter if isinstance(error, InvalidRequest) else ""
        answer = answer_of(Ask(route.model), NO_MARKS, settings, identity)
        return _with_instant(Plan(api, answer, api.invalid(400, str(error), parameter)), settings)
    # A query of ?simulate=cached,crlf asks the same of a model with an ordinary name.
    asked = ask.model + "".join(f"+{name}" for name in route.query.get("simulate", "").split(",") if name)
    marks = marks_of(asked) if misbehaves else NO_MARKS
    if not api.generates:
        # Where no text is written, none can be long.
        marks = replace(marks, names=tuple(name for name in marks.names if name not in ("long", "huge_chunks")))
    answer = answer_of(ask, marks, settings, identity, generates=api.generates, writes_cache=api.writes_cache)
    if not api.generates and ask.stream:
        answer = replace(answer, ask=replace(ask, stream=False))
    broken = marks.first_of(BREAKS)
    refused = marks.first_of(REFUSALS)
    if broken == "error_event" and not answer.ask.stream:
        refused, broken = refused or "500", ""
    refusal = None
    if refused == "html_error":
        refusal = Refusal(502, HTML, content_type=b"text/html")
    elif refused:
        refusal = api.refusal(refused, answer)
    return _with_instant(Plan(api, answer, refusal, broken="" if refusal else broken), settings)


def _with_instant(plan: Plan, settings: Settings) -> Plan:
    marks, stream = plan.answer.marks, plan.answer.ask.stream
    if not settings.instant or marks.first_of(PACED) or plan.answer.usage.output_tokens > LARGEST_INSTANT:
        return plan
    if plan.refusal is not None or (not stream and plan.broken in ("", "truncated_json")):
        content_type, status, body, outcome, sent = whole(plan)
        start = head(status, content_type, plan.headers(), len(body), True)
        return replace(plan, instant=Instant(start + body, body, plan.kind(outcome, status), sent))
    if stream and not plan.broken:
        return replace(plan, instant=_instant_stream(plan))
    return plan


def whole(plan: Plan) -> tuple[bytes, int, bytes, str, Sent]:
    """Content type, status, encoded body, outcome and what it tells, of a reply that is no stream."""
    answer, refusal = plan.answer, plan.refusal
    if refusal is not None:
        body, outcome, sent = refusal.body, "failed", Sent(refusal.usage)
        content_type, status = refusal.content_type, refusal.status
    else:
        text = "" if answer.calls_tool or not plan.api.generates else answer.text()
        body, outcome = plan.api.reply(answer, text), "completed"
        sent = Sent(answer.usage if answer.reports_usage else None)
        content_type, status = b"application/json", 200
        if plan.broken == "truncated_json":
            body, outcome, sent = body[: len(body) // 2], "cut", Sent()
    if "gzip" in answer.marks:
        body = gzip.compress(body, 6, mtime=0)
    return content_type, status, body, outcome, sent


def events_of(plan: Plan) -> Iterator[Event]:
    """The events of the stream, with the pings that were asked for."""
    pings = "pings" in plan.answer.marks
    for event in plan.api.events(plan.answer):
        if pings and event.content:
            yield plan.api.ping()
        yield event


def _instant_stream(plan: Plan) -> Instant:
    framing, coder = plan.framing(), plan.coder()
    usage, deltas = None, 0
    parts: list[bytes] = []
    for event in events_of(plan):
        usage = event.usage or usage
        deltas += event.content
        parts.append(coder.encode(framing.frame(event)))
    parts += (coder.encode(framing.end()), coder.end())
    start = head(200, plan.stream_type, plan.headers(), None, True)
    data = start + b"".join(map(chunk, parts)) + LAST_CHUNK
    return Instant(data, b"".join(parts), plan.kind("completed", 200), Sent(usage, deltas))
