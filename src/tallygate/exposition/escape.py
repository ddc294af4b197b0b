"""How text formats write what strangers chose: label values and help texts."""

from collections.abc import Iterable

from tallygate.dialects.series import escaped

__all__ = ["escaped", "help_text", "labels"]


def labels(pairs: Iterable[tuple[str, str]]) -> str:
    """``a="x",b="y"``: the labels of a series between its braces; '' without any."""
    return ",".join(f'{name}="{escaped(value)}"' for name, value in pairs)


def help_text(text: str, *, quotes: bool = False) -> str:
    """A help text on one line. OpenMetrics escapes quotes too, the other text formats must not."""
    text = text.encode("utf-8", "replace").decode().replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
