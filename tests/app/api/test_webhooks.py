"""Webhooks over HTTP: whose they are, what is shown once, what is refused."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.inprocess import Api, npy, running
from tests.support.receivers import receiver
from worker.contract import Scope
from worker.webhooks.delivery import Deliverer


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("hooks"), webhook_private=True) as made:
        yield made


@pytest.fixture(scope="module")
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client(api.key("ada", Scope.SUBMIT, Scope.READ)) as made:
        yield made


def test_from_webhook_to_delivery(api: Api, client: httpx.Client) -> None:
    with receiver() as there:
        made = client.post("/webhooks", json={"url": there.url})
        assert made.status_code == 201
        webhook = made.json()
        assert webhook["secret"].startswith("whsec_")
        path = made.headers["location"].removeprefix("/v1")
        assert "secret" not in client.get(path).json()
        assert client.get("/webhooks").json()["webhooks"] == [client.get(path).json()]
        job = client.post("/jobs", files={"file": npy(1)}, data={"external_id": "e"}).json()
        client.post(f"/jobs/{job['id']}/cancel")
        assert client.post(f"{path}/test").status_code == 202
        asyncio.run(Deliverer(api.database, api.settings).step())
        told = {json.loads(got.body)["type"]: json.loads(got.body) for got in there.received}
        assert told.keys() == {"job.canceled", "test"}
        link = told["job.canceled"]["data"]["links"]["self"].removeprefix("/v1")
        assert client.get(link).json()["external_id"] == "e"
        history = client.get(f"{path}/deliveries").json()["deliveries"]
        assert [each["state"] for each in history] == ["delivered", "delivered"]
        page = client.get(f"{path}/deliveries", params={"limit": 1}).json()
        rest = client.get(f"{path}/deliveries", params={"cursor": page["next"]}).json()
        assert [*page["deliveries"], *rest["deliveries"]] == history
        again = f"{path}/deliveries/{history[0]['number']}/redeliver"
        assert client.post(again).json()["state"] == "pending"
        asyncio.run(Deliverer(api.database, api.settings).step())
        assert len(there.received) == 3
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404


def test_webhooks_are_their_owners(api: Api, client: httpx.Client) -> None:
    path = client.post("/webhooks", json={"url": "http://127.0.0.1:9/"}).headers["location"][3:]
    with api.client(api.key("bob", Scope.SUBMIT, Scope.READ)) as other:
        assert other.get("/webhooks").json()["webhooks"] == []
        for method, url in (
            ("GET", path),
            ("DELETE", path),
            ("POST", f"{path}/test"),
            ("POST", f"{path}/enable"),
            ("GET", f"{path}/deliveries"),
            ("POST", f"{path}/deliveries/1/redeliver"),
        ):
            assert other.request(method, url).status_code == 404
    with api.client(api.key("ada", Scope.READ)) as reader:
        assert reader.get(path).status_code == 200
        assert reader.post("/webhooks", json={"url": "http://host/"}).status_code == 403


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"url": "ftp://host/"}, "url"),
        ({"url": "http://user@host/"}, "url"),
        ({"url": "http://host/", "topics": ["job.sneezed"]}, "topics"),
        ({"url": "http://host/", "topics": []}, "topics"),
        ({"url": "http://host/", "secret": "mine"}, "secret"),
        ({}, "url"),
    ],
)
def test_bad_webhooks_are_refused_by_field(
    client: httpx.Client, spec: dict[str, object], field: str
) -> None:
    answer = client.post("/webhooks", json=spec)
    assert answer.status_code == 422
    assert field in answer.json()["errors"][0]["field"]


def test_private_addresses_are_refused_unless_allowed(tmp_path: Path) -> None:
    with running(tmp_path) as api, api.client(api.key("ada", Scope.SUBMIT)) as client:
        for url in (
            "http://127.0.0.1:1/",
            "http://localhost/",
            "http://[::1]/",
            "http://10.0.0.1/",
        ):
            answer = client.post("/webhooks", json={"url": url})
            assert answer.status_code == 422
            assert "REUCID_WEBHOOK_PRIVATE" in answer.json()["detail"]
