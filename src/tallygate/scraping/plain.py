"""Text of strangers on its way to a terminal."""

from __future__ import annotations

REPLACED = "\N{REPLACEMENT CHARACTER}"


def plain(text: str, limit: int = 200) -> str:
    """What a terminal might obey (escapes, line ends, changes of direction) replaced, and what is too long cut."""
    if len(text) > limit:
        text = text[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return "".join(character if character.isprintable() else REPLACED for character in text)
