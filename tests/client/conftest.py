"""A server whose jobs are done as they come, and clients of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reucid_client import Client, Retrying
from tests.support.inprocess import Api, running, working
from worker.contract import Scope

IMPATIENT = Retrying(patience=5.0, first=0.01, longest=0.05)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder: Path = tmp_path_factory.mktemp("client")
    with running(folder, rate_limit="") as api, working(api):
        yield api


@pytest.fixture(scope="module")
def key(api: Api) -> str:
    return api.key("ada", Scope.SUBMIT, Scope.READ)


@pytest.fixture
def client(api: Api, key: str) -> Iterator[Client]:
    with Client(api.url, key, retrying=IMPATIENT) as client:
        yield client
