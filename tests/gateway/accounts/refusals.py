"""What the accounts refuse, and in which words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tallygate.gateway.accounts.problems import AccountError


@contextmanager
def refused(kind: type[AccountError], message: str) -> Iterator[None]:
    """The block ends with this error, in these words; ``...`` stands for any."""
    with pytest.raises(kind) as raised:
        yield
    pattern = ".*".join(map(re.escape, message.split("...")))
    assert re.fullmatch(pattern, str(raised.value)), str(raised.value)
