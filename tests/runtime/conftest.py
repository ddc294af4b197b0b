from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from tallygate.tally import Tally


@pytest.fixture
def tally() -> Iterator[Tally]:
    tally = Tally(capacity_bytes=16 << 20)
    yield tally
    tally.close()


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """No callback of the collector, and no thread of ours."""
    callbacks = list(gc.callbacks)
    yield
    assert gc.callbacks == callbacks
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("tallygate process")] == []
