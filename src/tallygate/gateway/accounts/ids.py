"""Ids of what the accounts keep: by the time of their making, then chance, so that lists by id are lists by age."""

from __future__ import annotations

import secrets
import time

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
"""Crockford's base 32, in whose order text sorts as the numbers do."""


def new_id(kind: str) -> str:
    """As in ``usr_01jd3v5q7m8n9p0r1s2t3v4w5x``: 48 bits of milliseconds, 80 bits of chance."""
    number = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return f"{kind}_" + "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))
