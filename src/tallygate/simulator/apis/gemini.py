"""What Gemini's methods have in common: errors and headers."""

from collections.abc import Iterator

from tallygate.simulator.answer import Answer
from tallygate.simulator.apis.api import JSON, Event, Refusal, encode

_REFUSALS: dict[str, tuple[int, str, str]] = {
    "400": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "401": (401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
    "403": (403, "PERMISSION_DENIED", "The caller does not have permission."),
    "429": (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota."),
    "500": (500, "INTERNAL", "An internal error has occurred."),
    "503": (503, "UNAVAILABLE", "The model is overloaded. Please try again later."),
    "529": (529, "UNAVAILABLE", "The model is overloaded. Please try again later."),
}
_STATUS_WORDS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 405: "INVALID_ARGUMENT"}


class Gemini:
    """The part that all of Gemini's methods share."""

    writes_cache = False
    newline = b"\r\n"
    stream_type = b"text/event-stream"

    def ping(self) -> Event:
        """A comment; Gemini itself sends none."""
        return Event(b": keep-alive", comment=True)

    def error_events(self, answer: Answer, sent: int) -> Iterator[Event]:
        """An element of the stream that is an error body."""
        yield Event(_error(503, "UNAVAILABLE", "The model is overloaded. Please try again later."))

    def refusal(self, behaviour: str, answer: Answer) -> Refusal:
        """Google's error body; a filtered prompt is a 200 here."""
        if behaviour == "content_filter":
            tokens = answer.usage.input_tokens
            document: JSON = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
            if answer.reports_usage:
                document["usageMetadata"] = {"promptTokenCount": tokens, "totalTokenCount": tokens}
            return self._blocked(encode(document | {"modelVersion": answer.ask.model}), answer)
        if behaviour == "404":
            message = f"models/{answer.ask.model} is not found for API version v1beta."
            return Refusal(404, _error(404, "NOT_FOUND", message))
        if behaviour == "context_length":
            tokens = answer.usage.input_tokens
            message = f"The input token count ({tokens}) exceeds the maximum number of tokens allowed ({tokens - 1})."
            return Refusal(400, _error(400, "INVALID_ARGUMENT", message))
        status, word, message = _REFUSALS[behaviour]
        if behaviour != "429":
            return Refusal(status, _error(status, word, message))
        seconds = f"{answer.marks.number('429', 1):g}"
        details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": seconds + "s"}]
        return Refusal(status, _error(status, word, message, details), ((b"retry-after", seconds.encode()),))

    def invalid(self, status: int, message: str, parameter: str) -> Refusal:
        """Google's error body for a request that cannot be read."""
        return Refusal(status, _error(status, _STATUS_WORDS[status], message))

    def headers(self, answer: Answer) -> tuple[tuple[bytes, bytes], ...]:
        """Google tells no limits; it tells where the time went."""
        return ((b"server-timing", b"gfet4t7; dur=5"), (b"vary", b"Origin"))

    def _blocked(self, body: bytes, answer: Answer) -> Refusal:
        usage = None
        if answer.reports_usage:
            usage = type(answer.usage)(answer.usage.input_tokens)
        if not answer.ask.stream:
            return Refusal(200, body, usage=usage)
        if answer.ask.event_stream:
            return Refusal(200, b"data: " + body + b"\r\n\r\n", content_type=self.stream_type, usage=usage)
        return Refusal(200, b"[" + body + b"]", usage=usage)


def _error(code: int, status: str, message: str, details: list[JSON] | None = None) -> bytes:
    error: JSON = {"code": code, "message": message, "status": status}
    return encode({"error": error | {"details": details} if details else error})
