"""Token counts as providers write them, and the sums that make one taxonomy of them."""

from typing import Any

from tallygate.wire.interface import Usage

MOST = 10**12
"""No call has as many tokens: a larger number is a provider's mistake and must not poison a counter for ever."""


def count(source: Any, *names: str) -> int | None:
    """The first of these members that is a number of tokens; None when none is."""
    if not isinstance(source, dict):
        return None
    for name in names:
        value = source.get(name)
        if value is None:
            continue
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and type(value) is not bool and 0 <= value <= MOST:
            return value
    return None


def openai_usage(usage: Any) -> Usage | None:
    """Usage as OpenAI's APIs write it, in the words of chat completions or of responses; None when it says nothing.

    Input includes what was read from a cache or written to one, output includes reasoning. Providers that speak
    OpenAI's language but leave these out are recognised by their sums.
    """
    if not isinstance(usage, dict):
        return None
    get = usage.get
    given_input, given_output = get("prompt_tokens"), get("completion_tokens")
    if not (type(given_input) is type(given_output) is int and 0 <= given_input <= MOST and 0 <= given_output <= MOST):
        given_input = count(usage, "prompt_tokens", "input_tokens")
        given_output = count(usage, "completion_tokens", "output_tokens")
        if given_input is None and given_output is None:
            return None
    input_tokens, output_tokens = given_input or 0, given_output or 0
    input_details = get("prompt_tokens_details") or get("input_tokens_details")
    output_details = get("completion_tokens_details") or get("output_tokens_details")
    read = count(input_details, "cached_tokens")
    if read is None:
        read = count(usage, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens") or 0
    written = count(input_details, "cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = count(usage, "cache_creation_input_tokens") or 0
    reasoning = count(output_details, "reasoning_tokens")
    if reasoning is None:
        reasoning = count(usage, "reasoning_tokens") or 0
    if reasoning and count(usage, "total_tokens") == input_tokens + output_tokens + reasoning:
        output_tokens += reasoning
    if read + written > input_tokens:
        input_tokens += read + written
    return Usage(input_tokens, output_tokens, read, written, min(reasoning, output_tokens))


_ANTHROPIC = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def anthropic_usage(counts: dict[str, int], usage: Any) -> Usage | None:
    """Usage as Anthropic's messages write it; None when nothing was told so far.

    A stream tells it in several events, each cumulative: the last of each count stays in ``counts``, which begins
    empty. Anthropic's input leaves out what a cache had or took. The details of output may be a library's object.
    """
    if isinstance(usage, dict):
        for name in _ANTHROPIC:
            value = usage.get(name)
            if value is None:
                continue
            if type(value) is not int or not 0 <= value <= MOST:
                value = count(usage, name)
                if value is None:
                    continue
            counts[name] = value
        details = usage.get("output_tokens_details")
        if details is not None:
            details = details if isinstance(details, dict) else getattr(details, "__dict__", None)
            reasoning = count(details, "thinking_tokens", "reasoning_tokens")
            if reasoning is not None:
                counts["reasoning"] = reasoning
    get = counts.get
    uncached, output = get("input_tokens"), get("output_tokens")
    if uncached is None and output is None:
        return None
    read, written = get("cache_read_input_tokens", 0), get("cache_creation_input_tokens", 0)
    output = output or 0
    return Usage((uncached or 0) + read + written, output, read, written, min(get("reasoning", 0), output))


def gemini_usage(counts: list[int], told: tuple[Any, Any, Any, Any, Any]) -> Usage | None:
    """Usage as Gemini writes it; None when nothing was told so far.

    told: the counts of prompt, prompt of tools, candidates, thoughts and cached content, None where there is none. A
    stream tells them again and again: the last of each stays in ``counts``, which begins empty. The prompt includes
    what a cache had; thoughts stand beside candidates.
    """
    for index, value in enumerate(told):
        if value is not None and isinstance(value, int) and 0 <= value <= MOST:
            if not counts:
                counts += (0, 0, 0, 0, 0)
            counts[index] = value
    if not counts:
        return None
    prompt, tools, candidates, thoughts, cached = counts
    return Usage(prompt + tools, candidates + thoughts, cached if cached < prompt else prompt, 0, thoughts)
