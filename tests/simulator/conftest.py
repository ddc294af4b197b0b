"""The simulated provider for tests that run on an event loop, and beside it for tests that do not."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tallygate.simulator import Settings, Simulator, run_in_thread

SEED = 7


@pytest.fixture
async def provider() -> AsyncIterator[Simulator]:
    """On this test's own event loop."""
    async with Simulator(seed=SEED) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def neighbour() -> Iterator[Simulator]:
    """In a thread; shared by all tests of the process, so they count only their own model names."""
    with run_in_thread(Settings(seed=SEED)) as simulator:
        yield simulator
