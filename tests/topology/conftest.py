"""A cluster of three primaries for the tests that do not break it, on each kind of server."""

from collections.abc import Iterator

import pytest

from streams.decode import warm
from tests.topology.servers import Cluster, killed


@pytest.fixture(scope="session", autouse=True)
def _kernels() -> None:
    """Compiled before any lease runs."""
    warm()


@pytest.fixture(scope="module", params=["valkey", "redis7"])
def cluster_process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    with killed(Cluster(request.param, tmp_path_factory.mktemp(request.param))) as cluster:
        yield cluster


@pytest.fixture
def cluster(cluster_process: Cluster) -> Cluster:
    """Three primaries, empty."""
    cluster_process.flush()
    return cluster_process
