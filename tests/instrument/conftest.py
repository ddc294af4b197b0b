from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallygate.tally import Tally
from tests.services.postgres import postgres
from tests.services.redis import redis_server

__all__ = ["postgres", "redis_server", "tally"]


@pytest.fixture
def tally() -> Iterator[Tally]:
    """A small tally of the test's own."""
    tally = Tally(capacity_bytes=16 << 20)
    yield tally
    tally.close()
