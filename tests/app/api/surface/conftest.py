"""An API, and a job that has run."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.clients import SMALL
from tests.support.inprocess import Api, npy, running


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("surface")) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


@pytest.fixture(scope="module")
def done(api: Api) -> dict[str, Any]:
    with api.client() as client:
        form = {"params": json.dumps(SMALL), "batch": "series-7", "labels": '{"a":"b"}'}
        files = {"file": ("Ä lattice.npy", npy(1))}
        job = client.post("/jobs", files=files, data=form).json()
        api.work(job["id"])
        return dict(client.get(f"/jobs/{job['id']}").json())
