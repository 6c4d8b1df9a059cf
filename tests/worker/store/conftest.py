"""The same store, in a folder and in a bucket."""

from collections.abc import Callable
from pathlib import Path

import pytest

from worker.settings import Settings
from worker.store import Store
from worker.store.opening import open_store

KINDS = ("folder", "bucket")


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a new store is."""
    if request.param == "folder":
        return str(tmp_path / "shared")
    request.getfixturevalue("credentials")
    server = request.getfixturevalue("s3")
    return str(server.url(server.bucket()))


@pytest.fixture
def machine(url: str, tmp_path: Path) -> Callable[[str], Store]:
    """The store as a machine has it that shares nothing else with others."""

    def see(name: str) -> Store:
        return open_store(Settings(data_dir=tmp_path / name, store_url=url))

    return see


@pytest.fixture
def store(machine: Callable[[str], Store]) -> Store:
    return machine("first")
