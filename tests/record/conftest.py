from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tallygate.tally import Tally


@pytest.fixture(params=["native", "python"])
def make_tally(request: pytest.FixtureRequest) -> Iterator[Callable[..., Tally]]:
    """Makes tallies over either implementation of the ledger, small ones, and closes them."""
    made: list[Tally] = []

    def make(**settings: Any) -> Tally:
        made.append(Tally(implementation=request.param, capacity_bytes=16 << 20, **settings))
        return made[-1]

    yield make
    for tally in made:
        tally.close()


@pytest.fixture
def tally(make_tally: Callable[..., Tally]) -> Tally:
    return make_tally()
