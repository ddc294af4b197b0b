"""The Markdown files of the project, and the code in them."""

import re
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Snippet:
    """A fenced block of code."""

    page: str
    """The file, from the project's root."""
    line: int
    language: str
    text: str

    @property
    def end(self) -> int:
        """The line that closes it."""
        return self.line + self.text.count("\n") + 1

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


@cache
def pages() -> tuple[str, ...]:
    """Every Markdown file that belongs to the project, from its root."""
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(sorted(name for name in tracked.stdout.split() if (ROOT / name).exists()))


@cache
def snippets() -> tuple[Snippet, ...]:
    """Every fenced block of every page."""
    return tuple(
        Snippet(page, text.count("\n", 0, match.start()) + 1, match["language"], match["text"])
        for page in pages()
        for text in [(ROOT / page).read_text()]
        for match in FENCE.finditer(text)
    )


def written_in(language: str) -> list[Snippet]:
    """All blocks in a language; at least one."""
    found = [snippet for snippet in snippets() if snippet.language == language]
    assert found, f"no page has a block in {language}"
    return found
