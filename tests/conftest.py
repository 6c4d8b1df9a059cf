"""What all tests share: reproducible examples, databases, and where real micrographs lie."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.buckets import CREDENTIALS, NoS3Error, S3Server, s3_server
from tests.support.disks import unsynced
from tests.support.models import write_random_model
from tests.support.places import BESIDE
from tests.support.postgres import DATABASES, Cluster, NoPostgresError

settings.register_profile(
    "seeded",
    derandomize=True,
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("seeded")

REAL = Path(os.environ.get("REUCID_REAL_IMAGES", BESIDE))


@pytest.fixture(scope="session")
def real_images() -> Path:
    """Folder of real micrographs, which the repository does not hold."""
    if not REAL.is_dir():
        pytest.skip("no real micrographs: name their folder with REUCID_REAL_IMAGES")
    return REAL


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_the_disk() -> Iterator[None]:
    """No test depends on how fast the disk is."""
    with unsynced():
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of random weights."""
    return write_random_model(tmp_path_factory.mktemp("model") / "random.safetensors")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A PostgreSQL of our own."""
    try:
        cluster = Cluster.make()
    except NoPostgresError as error:
        pytest.skip(str(error))
    yield cluster
    cluster.remove()


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server of our own."""
    try:
        with s3_server(tmp_path_factory.mktemp("s3")) as server:
            yield server
    except NoS3Error as error:
        pytest.skip(str(error))


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the tests' S3 server, in the environment of this process and its children."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session")
def make_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], str]:
    """Makes an empty database of a kind, and gives its URL."""

    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite'}"
        url: str = request.getfixturevalue("postgres").create()
        return url

    return make


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, make_database: Callable[[str], str]) -> str:
    """An empty database, of each kind in turn."""
    return make_database(request.param)
