"""API keys as callers present them: how they are made, told apart from noise, and kept.

A key is ``tg-``, 43 letters and digits (256 bits of chance), and a check of 6. What is kept of it is its SHA-256.
That is no password, which people choose and others guess: nobody finds 256 bits by trying, so a slow hash would only
make every look-up slow, and a salt or a server's secret (HMAC) would protect nothing that the key's length does not.
"""

from __future__ import annotations

import secrets
import string
import zlib
from hashlib import sha256
from typing import Final

START: Final = "tg-"
RANDOM, CHECK = 43, 6
"""How many letters of chance, and of check."""
LENGTH: Final = len(START) + RANDOM + CHECK
SHOWN: Final = len(START) + 6
"""How much of a key is its prefix, by which people know it: 36 of its 256 bits."""

_ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
_START: Final = START.encode()


def new_secret() -> str:
    """A key that nobody has."""
    body = START + "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM))
    return body + _check(body.encode())


def is_well_formed(presented: bytes) -> bool:
    """Whether this can be one of our keys: what is mistyped, cut off or somebody else's is seen without a database."""
    return (
        len(presented) == LENGTH
        and presented.startswith(_START)
        and _check(presented[:-CHECK]) == presented[-CHECK:].decode("latin-1")
    )


def hash_of(presented: bytes) -> bytes:
    """What is kept of a key."""
    return sha256(presented).digest()


def prefix_of(secret: str) -> str:
    """The beginning of a key, which may be shown."""
    return secret[:SHOWN]


def _check(body: bytes) -> str:
    number, letters = zlib.crc32(body), ""
    for _ in range(CHECK):
        number, place = divmod(number, len(_ALPHABET))
        letters += _ALPHABET[place]
    return letters
