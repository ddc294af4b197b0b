"""What a request asks, and what is answered: the same for the same seed and the same request."""

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from tallygate.simulator.behaviours import Marks
from tallygate.simulator.settings import Settings

CREATED = 1_750_000_000
"""The Unix time on every reply: a clock would make equal requests differ."""
MEGABYTE = 1_000_000
FILL = "lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut la " * 163
"""One content delta of a long answer, about 16 kB."""
LONGEST_CLOSING_TEXT = 16 * MEGABYTE
"""Closing events that repeat the whole text leave it out above this many characters."""

_WORDS = [
    "the",
    "tally",
    "counts",
    "every",
    "token",
    "of",
    "a",
    "stream",
    "once",
    "and",
    "only",
    "once",
    "so",
    "that",
    "a",
    "number",
    "on",
    "the",
    "page",
    "is",
    "true",
    "while",
    "naïve",
    "sums",
    "forget",
    "café",
    "hours",
    "größer",
    "数字",
    "…",
    "“quoted”",
    "🙂",
    "and",
    "\\escaped\\",
    "parts",
    "of",
    "what",
    "was",
    "really",
    "served",
    "today",
]


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one reply; cached ones are part of the input, reasoning is part of the output."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """What is read of a request."""

    model: str
    stream: bool = False
    include_usage: bool = True
    """False for an OpenAI stream that did not ask for usage."""
    tells_usage: bool = True
    """False for an API whose replies never tell it."""
    prompt_tokens: int = 1
    output_limit: int | None = None
    tool: str = "get_weather"
    """The first tool offered, for replies that call one."""
    count: int = 1
    """How many inputs an embedding request has."""
    dimensions: int = 8
    base64: bool = False
    event_stream: bool = True
    """False for Gemini's stream in the form of a JSON array."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply before it is put into the words of an API."""

    ask: Ask
    marks: Marks
    usage: Usage
    digest: str
    """32 hexadecimal digits, from which ids are made."""
    words: int
    """Where in the endless text the answer begins."""
    seed: int = 0
    embeddings: list[list[float]] = field(default_factory=list)

    @property
    def reports_usage(self) -> bool:
        """Whether usage is part of the reply."""
        return self.ask.tells_usage and "no_usage" not in self.marks

    @property
    def calls_tool(self) -> bool:
        """Whether the answer is a tool call."""
        return "tools" in self.marks

    @property
    def filtered(self) -> bool:
        """Whether a content filter ends the answer."""
        return "content_filter_stop" in self.marks

    def reasoning(self) -> Iterator[str]:
        """The deltas of the reasoning, one a token."""
        return self._tokens(self.words + 7, self.usage.reasoning_tokens)

    def pieces(self) -> Iterator[str]:
        """The deltas of the text, one a token, made as they are asked for."""
        if "empty" in self.marks:
            return iter(())
        if "huge_chunks" in self.marks:
            return iter((FILL_MEGABYTE, FILL_MEGABYTE, FILL_MEGABYTE * 5, FILL_MEGABYTE))
        size = self.long_bytes
        if size:
            return _fill(size)
        return self._tokens(self.words, self.usage.output_tokens - self.usage.reasoning_tokens)

    @property
    def long_bytes(self) -> int:
        """How many bytes of filling the text is; 0 for words."""
        argument = self.marks.arguments.get("long")
        if "long" not in self.marks or "empty" in self.marks:
            return 0
        if argument is None:
            return MEGABYTE
        return int(argument.value) if argument.is_bytes else 0

    def text(self) -> str:
        """The whole text."""
        return "".join(self.pieces())

    def closing_text(self) -> str:
        """The whole text for events that repeat it, left out when it is very long."""
        return "" if self.long_bytes > LONGEST_CLOSING_TEXT else self.text()

    def arguments(self) -> Iterator[str]:
        """The deltas of a tool call's arguments: JSON once joined."""
        yield '{"query":"'
        for word in self._tokens(self.words, max(0, self.usage.output_tokens - self.usage.reasoning_tokens - 2)):
            yield word.replace("\\", "\\\\").replace('"', '\\"')
        yield '"}'

    def _tokens(self, start: int, count: int) -> Iterator[str]:
        words = _vocabulary(self.seed)
        size = len(words)
        for index in range(start, start + count):
            yield words[index % size]


FILL_MEGABYTE = (FILL * (MEGABYTE // len(FILL) + 1))[:MEGABYTE]


@lru_cache(maxsize=16)
def _vocabulary(seed: int) -> list[str]:
    """The endless text of a seed, one item a token, each with its leading space."""
    words = random.Random(seed)
    return [" " + words.choice(_WORDS) for _ in range(4093)]


def _fill(size: int) -> Iterator[str]:
    """``size`` bytes of filling in deltas of at most len(FILL)."""
    whole, rest = divmod(size, len(FILL))
    for _ in range(whole):
        yield FILL
    if rest:
        yield FILL[:rest]


def answer_of(
    ask: Ask, marks: Marks, settings: Settings, identity: bytes, *, generates: bool = True, writes_cache: bool = True
) -> Answer:
    """The answer to a request; ``identity`` is everything that distinguishes it from another."""
    digest = hashlib.blake2b(identity, digest_size=16, key=settings.seed.to_bytes(16, "big", signed=True)).hexdigest()
    usage = _usage(ask, marks, settings) if generates else Usage(ask.prompt_tokens)
    if not writes_cache:
        usage = replace(usage, cache_write_tokens=0)
    embeddings = [] if generates else [_embedding(digest, index, ask.dimensions) for index in range(max(1, ask.count))]
    return Answer(ask, marks, usage, digest, int(digest[:8], 16), settings.seed, embeddings)


def _usage(ask: Ask, marks: Marks, settings: Settings) -> Usage:
    output = settings.output_tokens if ask.output_limit is None else min(ask.output_limit, settings.longest_answer)
    if "tokens" in marks:
        output = int(marks.number("tokens", output))
    if "long" in marks:
        argument = marks.arguments.get("long")
        if argument is not None and not argument.is_bytes:
            output = int(argument.value)
        else:
            output = -(-int(MEGABYTE if argument is None else argument.value) // 4)
    reasoning = 0
    if "reasoning" in marks:
        output = max(2, output)
        reasoning = output // 2
    if "empty" in marks:
        output = reasoning
    cached = "cached" in marks
    prompt = max(4, ask.prompt_tokens) if cached else ask.prompt_tokens
    return Usage(prompt, output, prompt // 2 if cached else 0, prompt // 4 if cached else 0, reasoning)


def _embedding(digest: str, index: int, dimensions: int) -> list[float]:
    """Numbers that a 32-bit float keeps exactly, so that both encodings say the same."""
    values = random.Random(f"{digest}/{index}")
    return [values.randrange(-4096, 4096) / 4096 for _ in range(dimensions)]


_TEXT_KEYS = frozenset(("content", "text", "input", "prompt", "system", "instructions", "parts", "arguments", "output"))


def tokens_of(*values: Any) -> int:
    """The simulator's tokenizer: a token for every four characters begun, and one for each number of a token list."""
    characters, tokens = _measure(values)
    return max(1, tokens + -(-characters // 4))


def _measure(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        return len(value), 0
    if isinstance(value, int) and not isinstance(value, bool):
        return 0, 1
    characters = tokens = 0
    if isinstance(value, list | tuple):
        children: Any = value
    elif isinstance(value, dict):
        children = [child for key, child in value.items() if key in _TEXT_KEYS]
    else:
        return 0, 0
    for child in children:
        more_characters, more_tokens = _measure(child)
        characters += more_characters
        tokens += more_tokens
    return characters, tokens
