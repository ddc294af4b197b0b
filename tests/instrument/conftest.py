from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallygate.tally import Tally


@pytest.fixture
def tally() -> Iterator[Tally]:
    """A small tally of the test's own."""
    tally = Tally(capacity_bytes=16 << 20)
    yield tally
    tally.close()
