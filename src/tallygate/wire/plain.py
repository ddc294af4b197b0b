"""The plainest kind of wire format: the body names model and stream, and replies report their usage unasked."""

from collections.abc import Callable

import msgspec
from msgspec import Raw

from tallygate.errors import ErrorType
from tallygate.wire.framing import framing_of
from tallygate.wire.heads import NOT_THERE, HeadReader, checked_model, most_output, splice
from tallygate.wire.interface import Head
from tallygate.wire.meter import WireMeter


class Request(msgspec.Struct):
    """The head of a request."""

    model: str | None = None
    stream: bool | None = None
    max_tokens: Raw = NOT_THERE
    max_output_tokens: Raw = NOT_THERE


_requests = HeadReader(Request, "model", "stream")


class PlainWire:
    """A wire format that differs from its like in its names, its meter and its errors only."""

    def __init__(
        self,
        name: str,
        operation: str,
        kind: str,
        endpoint: str,
        meter: type[WireMeter],
        error: Callable[[int, ErrorType, str], bytes],
        *,
        streams: bool = True,
        writes: bool = True,
    ) -> None:
        """As the members of Wire; streams: False where replies never are; writes: False where no tokens are written."""
        self.name, self.operation, self.kind, self.endpoint = name, operation, kind, endpoint
        self._meter, self._error, self._streams, self._writes = meter, error, streams, writes

    def read_head(self, body: bytes, path_model: str, path_stream: bool) -> Head:
        """As Wire.read_head."""
        request = _requests.read(body)
        most: int | None = 0
        if self._writes:
            most = most_output(request.max_tokens, NOT_THERE)  # Anthropic's word, and OpenAI's
            if most is None:
                most = most_output(request.max_output_tokens, NOT_THERE)
        return Head(checked_model(request.model), self._streams and bool(request.stream), True, most)

    def rewrite(self, body: bytes, *, model: str | None, ask_usage: bool) -> bytes:
        """As Wire.rewrite; usage comes unasked."""
        return body if model is None else splice(body, {"model": model})

    def meter(self, *, stream: bool, status: int, content_encoding: str, hide_usage: bool) -> WireMeter:
        """As Wire.meter."""
        return self._meter(framing_of(self._streams and stream, status, content_encoding, False), status)

    def error_body(self, status: int, error_type: ErrorType, message: str) -> bytes:
        """As Wire.error_body."""
        return self._error(status, error_type, message)
