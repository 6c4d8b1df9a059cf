"""A server in parts, on the ledger that several machines would have, where it is installed."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.postgres import NoPostgresError, binaries
from tests.support.servers import Members, valkey_server
from worker.settings import Settings


def ledger() -> str:
    """Kind of the database; SQLite does for members that are all on one machine."""
    try:
        binaries()
    except NoPostgresError:
        return "sqlite"
    return "postgresql"


@pytest.fixture(scope="module")
def members(
    tmp_path_factory: pytest.TempPathFactory,
    model: Path,
    make_database: Callable[[str], str],
) -> Iterator[Members]:
    """No member runs yet."""
    folder = tmp_path_factory.mktemp("members")
    with valkey_server(folder) as valkey:
        settings = Settings(
            data_dir=folder / "data",
            database_url=make_database(ledger()),
            redis_url=valkey.url,
            model=model,
            lease_s=8.0,
            stop_grace_s=0.5,
            min_free_mib=0,
        )
        members = Members(folder, settings)
        yield members
        members.stop()
