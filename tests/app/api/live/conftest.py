"""An API with a queue, and sessions with a worker in this process."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.inprocess import Api, running
from tests.support.servers import Valkey, valkey_server


@pytest.fixture(scope="module")
def live_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with valkey_server(tmp_path_factory.mktemp("queue")) as valkey:
        yield valkey


@pytest.fixture(scope="module")
def api(live_valkey: Valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    folder: Path = tmp_path_factory.mktemp("live")
    stated = {"live_workers": 8, "live_sessions_per_key": 3, "live_max_pixels": 4096}
    with running(folder / "data", redis_url=live_valkey.url, **stated) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client
        for session in client.get("/sessions", params={"state": "open"}).json()["sessions"]:
            client.delete(f"/sessions/{session['id']}")
