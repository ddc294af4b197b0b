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
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST:
            return value
    return None


def openai_usage(usage: Any) -> Usage | None:
    """Usage as OpenAI's APIs write it, in the words of chat completions or of responses; None when it says nothing.

    Input includes what was read from a cache or written to one, output includes reasoning. Providers that speak
    OpenAI's language but leave these out are recognised by their sums.
    """
    given_input = count(usage, "prompt_tokens", "input_tokens")
    given_output = count(usage, "completion_tokens", "output_tokens")
    if given_input is None and given_output is None:
        return None
    input_tokens, output_tokens = given_input or 0, given_output or 0
    input_details = usage.get("prompt_tokens_details") or usage.get("input_tokens_details")
    output_details = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    read = count(input_details, "cached_tokens")
    if read is None:
        read = count(usage, "prompt_cache_hit_tokens", "cached_tokens", "cache_read_input_tokens") or 0
    written = count(input_details, "cache_write_tokens", "cache_creation_tokens")
    if written is None:
        written = count(usage, "cache_creation_input_tokens") or 0
    reasoning = count(output_details, "reasoning_tokens")
    if reasoning is None:
        reasoning = count(usage, "reasoning_tokens") or 0
    total = count(usage, "total_tokens")
    if reasoning and total == input_tokens + output_tokens + reasoning:
        output_tokens += reasoning
    if read + written > input_tokens:
        input_tokens += read + written
    return Usage(input_tokens, output_tokens, read, written, min(reasoning, output_tokens))
