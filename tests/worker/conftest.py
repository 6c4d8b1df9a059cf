"""Ledgers, servers without an API, and bundles."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.bundles import write_bundles
from tests.support.lattices import write_input
from tests.support.postgres import DATABASES
from tests.support.servers import Server
from worker.ledger.database import Database
from worker.ledger.jobs import Jobs
from worker.settings import Settings


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database.open(database_url)
    yield database
    database.close()


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database)


@pytest.fixture(scope="session")
def serve(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Start a server; whoever does so stops it, and a failed test's one ends here."""
    servers = []

    def start(workers: int = 1, **stated: object) -> Server:
        folder = tmp_path_factory.mktemp("server")
        settings = Settings(
            data_dir=folder / "data", model=model, workers=workers, **({"lease_s": 8.0} | stated)
        )
        server = Server.start(folder, settings)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="module", params=DATABASES)
def server(
    serve: Callable[..., Server],
    make_database: Callable[[str], str],
    request: pytest.FixtureRequest,
) -> Iterator[Server]:
    server = serve(workers=2, database_url=make_database(request.param))
    yield server
    server.stop(signal.SIGKILL)  # after which the kernel alone can end the rest


@pytest.fixture(scope="session")
def input_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "Probe 7 µ.tif"
    write_input(path)
    return path


@pytest.fixture(scope="session")
def bundles(input_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A bundle of each kind there is."""
    return write_bundles(tmp_path_factory.mktemp("bundles"), input_file)
