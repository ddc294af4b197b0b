from collections.abc import Iterator

import pytest

from tallygate.simulator import Simulator, run_in_thread
from tests.gateway.cluster.machines import Cluster, running_cluster
from tests.services.databases import new_database
from tests.services.postgres import PostgreSQL, postgres
from tests.services.redis import Redis, redis_server

__all__ = ["postgres", "redis_server"]


@pytest.fixture(scope="package")
def provider() -> Iterator[Simulator]:
    with run_in_thread() as running:
        yield running


@pytest.fixture(scope="package")
def cluster(
    postgres: PostgreSQL, redis_server: Redis, provider: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """One for all tests: each makes users of its own."""
    with (
        new_database(postgres) as database,
        running_cluster(tmp_path_factory.mktemp("cluster"), provider, database, f"{redis_server.url}?db=7") as running,
    ):
        yield running
