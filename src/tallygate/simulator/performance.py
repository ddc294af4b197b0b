"""A reply that takes time, or that breaks: the way of one such request from its wait to its end."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tallygate.simulator.answer import FILL, Answer, Usage
from tallygate.simulator.apis.api import Event, encode
from tallygate.simulator.connection import Connection
from tallygate.simulator.frames import LAST_CHUNK, chunk, head
from tallygate.simulator.pace import Pace
from tallygate.simulator.plan import Plan, events_of, whole
from tallygate.simulator.records import Reply, Request
from tallygate.simulator.served import Sent

_PLACE = "\x00the filling goes here\x00"
_SLICE = 256 * 1024


class _End(Exception):
    """The reply is over before its regular end: its outcome, and whether HTTP's framing was ended."""

    def __init__(self, outcome: str, regular: bool) -> None:
        super().__init__(outcome)
        self.outcome = outcome
        self.regular = regular


@dataclass(slots=True)
class Performance:
    """One request being answered step by step."""

    connection: Connection
    request: Request
    plan: Plan
    pace: Pace
    keep: Callable[[Reply], None]
    """Called with the reply once its head is sent."""
    status: int = 0
    """What was sent; 0 before the head."""
    usage: Usage | None = None
    deltas: int = 0
    outcome: str = "cut"
    """How it ended, once it has."""
    _reply: Reply | None = None
    _chunked: bool = False

    @property
    def sent(self) -> Sent:
        """What the client was told so far."""
        return Sent(self.usage, self.deltas)

    async def run(self) -> None:
        """Answer. Cancelled when the client leaves."""
        try:
            await _wait(self.pace.head())
            if "reset" in self.plan.answer.marks:
                self.connection.reset()
                raise _End("cut", False)
            if self.plan.refusal is None and self.plan.answer.ask.stream:
                await self._stream()
            else:
                await self._document()
            self.outcome = "failed" if self.plan.refusal is not None else "completed"
            if self.plan.broken == "truncated_json":
                self.outcome = "cut"
        except _End as end:
            self.outcome = end.outcome
            if not end.regular:
                return
        if self._reply is not None:
            self._reply.complete = True
        self.connection.answered(self.request.keep_alive)

    # Replies that are no stream

    async def _document(self) -> None:
        answer = self.plan.answer
        if self.plan.refusal is None and answer.long_bytes and not answer.calls_tool and "gzip" not in answer.marks:
            await self._long_document()
            return
        content_type, status, body, _, sent = whole(self.plan)
        await self._head(status, content_type, len(body))
        if self.plan.broken not in ("", "truncated_json"):
            await self._raw(body[: len(body) // 2])
            await self._break()
        for start in range(0, len(body), _SLICE):
            await self._raw(body[start : start + _SLICE])
        self.usage = sent.usage

    async def _long_document(self) -> None:
        """As above, the text made as the client reads."""
        answer = self.plan.answer
        before, _, after = self.plan.api.reply(answer, _PLACE).partition(_escaped(_PLACE))
        await self._head(200, b"application/json", len(before) + answer.long_bytes + len(after))
        await self._raw(before)
        written = 0
        for piece in answer.pieces():
            if self.plan.broken and written >= answer.long_bytes // 2:
                await self._break()
            await self._raw(piece.encode())
            written += len(piece)
        await self._raw(after)
        self.usage = answer.usage if answer.reports_usage else None

    # Streams

    async def _stream(self) -> None:
        plan = self.plan
        framing, coder = plan.framing(), plan.coder()
        unbuffered = "unbuffered" in plan.answer.marks
        self._chunked = self.request.chunked
        await self._head(200, plan.stream_type, None)
        breaks_after = _breaks_after(plan)
        events = _with_last(events_of(plan))
        for number, (event, last) in enumerate(events):
            if plan.broken and (last or (event.content and self.deltas >= breaks_after)):
                await self._break_stream(number, coder.encode, framing.frame, framing.frame(event))
            if event.content:
                await _wait(self.pace.content())
            await self._body(coder.encode(framing.frame(event)))
            self.usage = event.usage or self.usage
            self.deltas += event.content
            if unbuffered or number % 64 == 63:
                # Without a wait nobody else would get a turn before the stream ends.
                await asyncio.sleep(0)
        await self._body(coder.encode(framing.end()))
        await self._body(coder.end())
        await self._end_body()

    async def _break_stream(
        self, number: int, encode: Callable[[bytes], bytes], frame: Callable[..., bytes], following: bytes
    ) -> None:
        """Break where ``following`` would come next."""
        broken = self.plan.broken
        if broken == "error_event":
            for event in self.plan.api.error_events(self.plan.answer, number):
                await self._body(encode(frame(event)))
            await self._end_body()
            raise _End("failed", True)
        if broken == "truncated_json":
            ending = b"\r\n\r\n" if following.endswith(b"\r\n\r\n") else b"\n\n"
            await self._body(encode(following[: len(following) // 2] + ending))
        if broken in ("truncated_json", "cut_stream"):
            await self._end_body()
            raise _End("cut", True)
        if broken == "cut_chunks" and self._chunked:
            half = encode(following)
            await self._write(b"%x\r\n" % len(half) + half[: len(half) // 2])
        await self._break()

    async def _break(self) -> None:
        """Stop in the middle of what was promised."""
        if self.plan.broken == "stall":
            await asyncio.Event().wait()
        if self.plan.broken == "reset_body":
            await self.connection.flush()
            self.connection.reset()
        else:
            self.connection.transport.close()
        raise _End("cut", False)

    # Writing

    async def _head(self, status: int, content_type: bytes, length: int | None) -> None:
        keep_alive = self.request.keep_alive if length is not None else self.request.chunked
        data = head(status, content_type, self.plan.headers(), length, keep_alive)
        if length is None and self.request.chunked and not self.request.keep_alive:
            data = data[:-2] + b"connection: close\r\n\r\n"
        self._reply = Reply(status, bytearray(), complete=False)
        self.keep(self._reply)
        await self._write(data)
        self.status = status

    async def _body(self, data: bytes) -> None:
        """A part of a streamed body; an empty one is nothing."""
        if self._reply is not None:
            self._reply.append(data)
        if "byte_chunks" in self.plan.answer.marks and self._chunked:
            data = b"".join(chunk(data[index : index + 1]) for index in range(len(data)))
            await self._write(data)
        elif data:
            await self._write(chunk(data) if self._chunked else data)

    async def _raw(self, data: bytes) -> None:
        """A part of a body of known length."""
        if self._reply is not None:
            self._reply.append(data)
        await self._write(data)

    async def _end_body(self) -> None:
        if self._chunked:
            await self._write(LAST_CHUNK)

    async def _write(self, data: bytes) -> None:
        if "split_frames" not in self.plan.answer.marks:
            await self.connection.write(data)
            return
        seconds = self.plan.answer.marks.number("split_frames", 0)
        for index in range(len(data)):
            await self.connection.write(data[index : index + 1])
            # A turn of the loop makes it a send of its own, whatever the loop buffers.
            await asyncio.sleep(seconds)


async def _wait(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


def _with_last(items: Iterator[Event]) -> Iterator[tuple[Event, bool]]:
    """Each item, and whether it is the last."""
    waiting: list[Event] = []
    for item in items:
        if waiting:
            yield waiting.pop(), False
        waiting.append(item)
    if waiting:
        yield waiting.pop(), True


def _breaks_after(plan: Plan) -> int:
    """After how many content deltas a broken stream breaks: half of them, unless told."""
    return int(plan.answer.marks.number(plan.broken, max(1, _delta_count(plan.answer) // 2)))


def _delta_count(answer: Answer) -> int:
    if answer.long_bytes:
        return -(-answer.long_bytes // len(FILL))
    return 4 if "huge_chunks" in answer.marks else answer.usage.output_tokens


def _escaped(text: str) -> bytes:
    """The text as it stands within a JSON document."""
    return encode(text)[1:-1]
