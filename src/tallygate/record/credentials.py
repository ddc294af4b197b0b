"""What looks like a credential never becomes a label value."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Final

REDACTED: Final = "redacted"
"""The label value of a credential."""

_SHAPES: Final = re.compile(
    r"""
      \b(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}              # OpenAI, Anthropic, OpenRouter, Stripe
    | \btg[-_][A-Za-z0-9_-]{16,}                        # a gateway's own
    | \b(?:Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}       # an Authorization header
    | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.       # a JSON Web Token
    | \b(?:AKIA|ASIA)[A-Z0-9]{16}\b                     # AWS
    | \bAIza[A-Za-z0-9_-]{35}                           # Google
    | \bya29\.[A-Za-z0-9_-]{16,}                        # Google OAuth
    | \b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{22,})
    | \bglpat-[A-Za-z0-9_-]{20,}                        # GitLab
    | \bxox[abeprs]-[A-Za-z0-9-]{10,}                   # Slack
    | \b(?:gsk_|hf_|xai-|r8_|nvapi-|pplx-|fw_)[A-Za-z0-9_-]{20,}  # Groq, Hugging Face, xAI, Replicate, NVIDIA, ...
    | -----BEGIN\s[A-Z ]*PRIVATE\sKEY
    | ://[^/\s:@]*:[^/\s@]+@                            # a URL with a password
    """,
    re.VERBOSE,
)
_LONG: Final = re.compile(r"[A-Za-z0-9+/]{32,}")
_KIND: Final = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", "a" * 26 + "A" * 26 + "0" * 10
)
FEWEST_DIGITS: Final = 3
CHANGES: Final = 0.45
"""Share of neighbours of different kinds (small, capital, digit) from which a long run of characters is random.

Random ones have 0.6, names in camel case 0.35; hexadecimal digests have no capitals or no small letters.
"""


def is_credential(value: str) -> bool:
    """Whether this looks like an API key, a token, a password in a URL, or 32 random characters in a row.

    Digests and UUIDs do not: ids are often made of them.
    """
    if len(value) < 16:  # the shortest of the shapes, "Bearer" and eight characters aside
        return value.startswith(("Bearer ", "Basic ")) and _SHAPES.search(value) is not None
    return _SHAPES.search(value) is not None or any(_is_random(run) for run in _LONG.findall(value))


def _is_random(run: str) -> bool:
    kinds = run.translate(_KIND)
    if not ("a" in kinds and "A" in kinds and kinds.count("0") >= FEWEST_DIGITS):
        return False
    changes = sum(before != after for before, after in pairwise(kinds))
    return changes >= CHANGES * (len(kinds) - 1)
