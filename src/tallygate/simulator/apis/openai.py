"""What OpenAI's APIs have in common: errors, headers, usage."""

from collections.abc import Iterator

from tallygate.simulator.answer import Answer, Usage
from tallygate.simulator.apis.api import JSON, Event, Refusal, encode

LIMITS = (
    (b"x-ratelimit-limit-requests", b"10000"),
    (b"x-ratelimit-limit-tokens", b"2000000"),
    (b"x-ratelimit-remaining-requests", b"9999"),
    (b"x-ratelimit-remaining-tokens", b"1999000"),
    (b"x-ratelimit-reset-requests", b"6ms"),
    (b"x-ratelimit-reset-tokens", b"30ms"),
)

EXHAUSTED = tuple((name, b"0" if name == b"x-ratelimit-remaining-requests" else value) for name, value in LIMITS)

_REFUSALS: dict[str, tuple[int, str, str, str | None]] = {
    "400": (400, "Invalid value for 'temperature'.", "invalid_request_error", "invalid_value"),
    "401": (401, "Incorrect API key provided: sk-sim***.", "invalid_request_error", "invalid_api_key"),
    "403": (403, "This project may not use the model.", "invalid_request_error", "model_access_denied"),
    "429": (429, "Rate limit reached for requests per minute.", "requests", "rate_limit_exceeded"),
    "500": (500, "The server had an error while processing your request.", "server_error", None),
    "503": (503, "The engine is currently overloaded, please try again later.", "server_error", "overloaded"),
    "529": (529, "The engine is currently overloaded, please try again later.", "server_error", "overloaded"),
    "content_filter": (400, "The prompt triggered the content policy.", "invalid_request_error", "content_filter"),
}


class OpenAI:
    """The part that all of OpenAI's APIs share."""

    generates = True
    writes_cache = True
    newline = b"\n"
    stream_type = b"text/event-stream; charset=utf-8"

    def ping(self) -> Event:
        """A comment, as routers in front of OpenAI-shaped providers send it."""
        return Event(b": PROCESSING", comment=True)

    def error_events(self, answer: Answer, sent: int) -> Iterator[Event]:
        """An event whose data is an error body."""
        yield Event(error_body("The server had an error while processing your request.", "server_error", None, None))

    def refusal(self, behaviour: str, answer: Answer) -> Refusal:
        """OpenAI's error body."""
        if behaviour == "404":
            message = f"The model `{answer.ask.model}` does not exist or you do not have access to it."
            return Refusal(404, error_body(message, "invalid_request_error", None, "model_not_found"))
        if behaviour == "context_length":
            message = (
                f"This model's maximum context length is {answer.usage.input_tokens - 1} tokens. However, your "
                f"messages resulted in {answer.usage.input_tokens} tokens. Please reduce their length."
            )
            body = error_body(message, "invalid_request_error", "messages", "context_length_exceeded")
            return Refusal(400, body)
        status, message, kind, code = _REFUSALS[behaviour]
        return Refusal(status, error_body(message, kind, None, code), retry_headers(behaviour, answer))

    def invalid(self, status: int, message: str, parameter: str) -> Refusal:
        """OpenAI's error body for a request that cannot be read."""
        return Refusal(status, error_body(message, "invalid_request_error", parameter or None, None))

    def headers(self, answer: Answer) -> tuple[tuple[bytes, bytes], ...]:
        """Request id and rate limits."""
        return (
            (b"x-request-id", b"req_" + answer.digest.encode()),
            (b"openai-processing-ms", b"5"),
            (b"openai-version", b"2020-10-01"),
            *(EXHAUSTED if "429" in answer.marks else LIMITS),
        )


def retry_headers(behaviour: str, answer: Answer) -> tuple[tuple[bytes, bytes], ...]:
    """Retry-After for a 429."""
    if behaviour != "429":
        return ()
    return ((b"retry-after", f"{answer.marks.number('429', 1):g}".encode()),)


def error_body(message: str, kind: str, parameter: str | None, code: str | None) -> bytes:
    """OpenAI's error object."""
    return encode({"error": {"message": message, "type": kind, "param": parameter, "code": code}})


def usage_object(usage: Usage) -> JSON:
    """``usage`` of chat completions and completions."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_tokens,
            "audio_tokens": 0,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning_tokens,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def wants_usage(body: JSON) -> bool:
    """Whether a streaming request asks for the usage chunk."""
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
