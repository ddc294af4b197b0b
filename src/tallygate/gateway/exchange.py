"""One request and its answer: what the steps of the pipeline hand to each other."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tallygate.errors import ErrorType
from tallygate.gateway.refusal import Refusal
from tallygate.gateway.routes import Route
from tallygate.wire.formats import WIRES

if TYPE_CHECKING:
    from tallygate.gateway.admission import Admission
    from tallygate.gateway.cache.capture import Capture
    from tallygate.gateway.caller import Caller
    from tallygate.gateway.failover.attempts import Trail
    from tallygate.gateway.failover.choosing import Target
    from tallygate.gateway.failover.deployments import Deployment
    from tallygate.ledger.interface import Batch
    from tallygate.record import LLMCallTracker
    from tallygate.wire.interface import Head, Meter

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Exchange:
    """A request on its way, with the clock readings and the outcome that the facts are made of."""

    __slots__ = (
        "admission",
        "asked_at",
        "batch",
        "body",
        "call",
        "caller",
        "capture",
        "deployment",
        "dispatched_at",
        "error_type",
        "head",
        "headers",
        "headers_at",
        "meter",
        "more_headers",
        "outcome",
        "read_at",
        "receive",
        "received",
        "replied_at",
        "response_size",
        "route",
        "scope",
        "send",
        "settled",
        "started_at",
        "status",
        "target",
        "traced",
        "trail",
        "upstream_status",
        "waited",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send, route: Route, headers: dict[bytes, bytes]) -> None:
        self.scope, self.receive, self.send = scope, receive, send
        self.route, self.headers = route, headers
        self.body = b""
        self.head: Head | None = None
        self.caller: Caller | None = None
        """Whose key was presented; None without accounts, and for the master key."""
        self.admission: Admission | None = None
        """What was held for this request when it was let in; None when nothing limits it."""
        self.capture: Capture | None = None
        """Takes note of the answer, so that it can be kept for the same request again; None when it need not be."""
        self.more_headers: tuple[tuple[bytes, bytes], ...] = ()
        """What the gateway adds to the head of the answer; the provider's headers of these names are left out."""
        self.settled = False
        """Whether what it used is in the usage ledger, and what was held is free again."""
        self.target: Target | None = None
        """Where the model that was asked for is served; None for what is only passed through."""
        self.deployment: Deployment | None = None
        """Who is asked, and in the end: whose answer it was."""
        self.trail: Trail | None = None
        """What went before, when the first deployment did not serve at once."""
        self.call: LLMCallTracker | None = None
        self.batch: Batch | None = None
        """How the facts of the exchange are recorded together, should it go well."""
        self.meter: Meter | None = None
        self.status = 0
        """HTTP status sent to the client; 0 before the answer has begun."""
        self.upstream_status = 0
        """HTTP status of the provider's reply; 0 before there is one."""
        self.traced = False
        """Whether the caller told of a trace."""
        self.outcome = "completed"
        self.error_type = ""
        self.received = 0
        """Bytes of the provider's reply that are the client's, or on their way to it; counted when it settles."""
        self.response_size = 0
        self.waited = 0.0
        """Seconds spent waiting for the provider."""
        self.started_at = perf_counter()
        self.read_at = self.dispatched_at = self.headers_at = self.replied_at = 0.0
        self.asked_at = 0.0
        """When the last attempt began, and ``dispatched_at`` the first; 0 when the last is recorded already."""

    @property
    def stream(self) -> bool:
        """Whether the caller asked for a stream; False until the head is read."""
        return self.head is not None and self.head.stream

    @property
    def hides_usage(self) -> bool:
        """Whether the gateway asks for a stream's usage on the caller's behalf, and keeps that chunk to itself."""
        return self.head is not None and self.head.stream and not self.head.reports_usage

    async def begin(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Send the head of the answer."""
        self.status = status
        if self.capture is not None:
            self.capture.begin(headers)
        if self.more_headers:
            names = {name for name, _ in self.more_headers}
            headers = [header for header in headers if header[0] not in names]
            headers += self.more_headers
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes, more: bool) -> None:
        """Send a piece of the answer's body."""
        self.response_size += len(data)
        if self.capture is not None:
            self.capture.write(data)
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    def fail(self, error_type: ErrorType) -> None:
        """Note why the request failed; the first reason stays, and nothing that happens after it was settled counts."""
        if not self.error_type and not self.settled:
            self.outcome, self.error_type = "failed", error_type.value

    async def refuse(self, refusal: Refusal) -> None:
        """Answer with an error of the gateway's own, in the shape of the API that was called."""
        self.fail(refusal.error_type)
        await self.answer_error(refusal.status, refusal.error_type, refusal.message, refusal.headers)

    async def answer_error(
        self, status: int, error_type: ErrorType, message: str, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> None:
        """Send an error body, unless an answer has already begun."""
        if self.status:
            return
        body = error_body(self.route, status, error_type, message)
        await self.begin(
            status,
            [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers],
        )
        await self.write(body, more=False)


def error_body(route: Route, status: int, error_type: ErrorType, message: str) -> bytes:
    """An error in the shape of the API that a path belongs to; OpenAI's where no wire format is known."""
    if route.wire is not None:
        return route.wire.error_body(status, error_type, message)
    name = {"anthropic": "anthropic_messages", "gemini": "gemini_generate"}.get(route.kind, "openai_chat")
    return WIRES[name].error_body(status, error_type, message)
