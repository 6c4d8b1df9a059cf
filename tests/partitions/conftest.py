"""A server on hosts of its own, where they can be made."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.cases import Case, cases, stacks
from tests.partitions import network
from tests.partitions.deployment import FRAMES, Deployment, deployed
from tests.support.buckets import CREDENTIALS, NoS3Error
from tests.support.postgres import NoPostgresError


@pytest.fixture(scope="session")
def images(model: Path) -> list[Case]:
    return cases(4, model)


@pytest.fixture(scope="session")
def frames() -> list[Case]:
    return stacks(1, FRAMES)


@pytest.fixture(scope="module")
def server(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """With two workers; every promise is checked at its end, too."""
    folder = tmp_path_factory.mktemp("partitions")
    with pytest.MonkeyPatch.context() as environment:
        for name, value in CREDENTIALS.items():
            environment.setenv(name, value)
        try:
            network.check()
            running = deployed(folder, 2, model)
            made = running.__enter__()
        except (network.NoNetworkError, NoPostgresError, NoS3Error) as error:
            pytest.skip(str(error))
        try:
            yield made
            assert made.check() == []
        finally:
            running.__exit__(None, None, None)
