"""Behaviours are asked for in the model's name: ``gpt-4o-mini+429``, ``sim-stall``, ``claude-x+cached+crlf``.

A behaviour may carry one argument after a colon: ``+long:200MB``, ``+429:7``, ``+stall:3``.
A ``+`` part that is no behaviour leaves the whole name an ordinary model name. ``?simulate=cached,crlf`` in the
query asks the same of any model.
"""

import re
from dataclasses import dataclass, field
from functools import lru_cache

BEHAVIOURS: dict[str, str] = {
    # Refusals: an error status with the provider's own error body.
    "400": "400, invalid request",
    "401": "401, wrong key",
    "403": "403, not allowed",
    "404": "404, the model does not exist",
    "429": "429 with Retry-After; argument: its seconds (1)",
    "500": "500, server error",
    "503": "503, unavailable",
    "529": "529, overloaded",
    "context_length": "400, the prompt does not fit the context window",
    "content_filter": "the prompt is refused by a filter: 400; Gemini: 200 with promptFeedback",
    "html_error": "502 with a proxy's HTML page",
    # Broken connections and replies.
    "reset": "connection reset before the head of the reply",
    "reset_body": "connection reset in the middle of the body; argument: after how many content deltas",
    "cut_stream": "a stream ends regularly in HTTP, without its closing event; other bodies are cut; argument as above",
    "cut_chunks": "the connection is closed within the chunked framing or the declared length; argument as above",
    "truncated_json": "a regular HTTP reply whose JSON stops in the middle; argument as above",
    "error_event": "an error event in the middle of a stream; otherwise 500; argument as above",
    "stall": "stops in the middle of the body and keeps the connection open for ever; argument as above",
    # Slowness; the argument is in seconds.
    "slow_headers": "waits before the head of the reply; argument: seconds (5)",
    "slow_stream": "waits before every content delta; argument: seconds (0.5)",
    # Unusual but valid replies.
    "content_filter_stop": "a filter ends the answer: finish_reason content_filter, refusal or SAFETY",
    "no_usage": "reports no usage at all",
    "huge_chunks": "three content deltas of 1 MB and one of 5 MB",
    "crlf": "server-sent events with CRLF line ends",
    "split_frames": "every byte in a write of its own; argument: seconds between them (0)",
    "byte_chunks": "every byte of a stream in an HTTP chunk of its own",
    "unbuffered": "every event in a write of its own",
    "gzip": "content-encoding gzip, flushed after each event",
    "cached": "half of the input read from the prompt cache, a quarter written to it",
    "reasoning": "half of the output is reasoning, sent first",
    "tools": "a tool call instead of text",
    "empty": "no content and no output tokens",
    "pings": "a ping or comment before every content delta",
    "tokens": "argument: output tokens, whatever the request's limit",
    "long": "argument: output tokens, or bytes of text with kB, MB or GB (1MB); made as the client reads",
    # Which requests are concerned.
    "first": "argument: only the first N requests for this model name misbehave (1); the others are answered normally",
}

REFUSALS = frozenset(
    ("400", "401", "403", "404", "429", "500", "503", "529", "context_length", "content_filter", "html_error")
)
BREAKS = frozenset(("reset_body", "cut_stream", "cut_chunks", "truncated_json", "error_event", "stall"))
"""What happens in the middle of a body; at most one of them takes effect, in the order of the name."""
PACED = frozenset(
    ("slow_headers", "slow_stream", "split_frames", "byte_chunks", "unbuffered", "long", "huge_chunks", "reset")
)
"""What needs more than one write."""

_ARGUMENT = re.compile(r"(\d+(?:\.\d+)?)([kMG]B)?", re.ASCII)
_FACTORS = {None: 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Argument:
    """What stands after a behaviour's colon."""

    value: float
    is_bytes: bool = False


@dataclass(frozen=True, slots=True)
class Marks:
    """The behaviours of one model name."""

    label: str = ""
    """As written, without the model: ``cached+crlf``; '' for none."""
    names: tuple[str, ...] = ()
    arguments: dict[str, Argument] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def first_of(self, names: frozenset[str]) -> str:
        """The first behaviour that is among ``names``; '' when there is none."""
        return next((name for name in self.names if name in names), "")

    def number(self, name: str, default: float) -> float:
        """The argument of a behaviour."""
        argument = self.arguments.get(name)
        return default if argument is None else argument.value


NO_MARKS = Marks()


@lru_cache(maxsize=4096)
def marks_of(model: str) -> Marks:
    """The behaviours that a model name asks for."""
    name, *parts = model.split("+")
    last = name.rpartition("/")[2]
    if last.startswith("sim-"):
        parts.insert(0, last.removeprefix("sim-"))
    names: list[str] = []
    arguments: dict[str, Argument] = {}
    for part in parts:
        behaviour, colon, text = part.partition(":")
        behaviour = behaviour.replace("-", "_")
        if behaviour not in BEHAVIOURS:
            return NO_MARKS
        if colon:
            match = _ARGUMENT.fullmatch(text)
            if match is None:
                return NO_MARKS
            arguments[behaviour] = Argument(float(match[1]) * _FACTORS[match[2]], match[2] is not None)
        names.append(behaviour)
    return Marks("+".join(parts), tuple(names), arguments) if names else NO_MARKS
