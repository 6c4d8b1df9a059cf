"""A server in parts, on each kind of ledger."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.postgres import DATABASES
from tests.support.servers import Members, valkey_server
from worker.settings import Settings


@pytest.fixture(scope="module", params=DATABASES)
def members(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    model: Path,
    make_database: Callable[[str], str],
) -> Iterator[Members]:
    """No member runs yet."""
    folder = tmp_path_factory.mktemp("members")
    with valkey_server(folder) as valkey:
        settings = Settings(
            data_dir=folder / "data",
            database_url=make_database(request.param),
            redis_url=valkey.url,
            model=model,
            lease_s=8.0,
            stop_grace_s=0.5,
            min_free_mib=0,
        )
        members = Members(folder, settings)
        yield members
        members.stop()
