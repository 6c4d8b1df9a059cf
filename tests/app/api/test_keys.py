"""Who may do what."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.commands import reucid
from tests.support.inprocess import Api, npy, running
from tests.support.servers import served
from worker.contract import Scope
from worker.ledger.database import Database
from worker.ledger.keys import MARK, SHOWN, Keyring

SUBMIT, READ, ADMIN = Scope.SUBMIT, Scope.READ, Scope.ADMIN
PARAMS = {"patch_size": 5, "stacks": 2, "components": 4}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("guarded")) as api:
        api.key("root", ADMIN)
        yield api


@pytest.fixture(scope="module")
def done(api: Api) -> dict[str, Any]:
    """A succeeded job of Ada's."""
    with api.client(api.key("ada", SUBMIT, READ)) as ada:
        form = {"params": json.dumps(PARAMS), "external_id": "adas"}
        job = ada.post("/jobs", files={"file": npy(1)}, data=form).json()
        api.work(job["id"])
        job = ada.get(f"/jobs/{job['id']}").json()
    assert job["state"] == "succeeded"
    return dict(job)


def routes(api: Api) -> list[tuple[str, str]]:
    """Every operation of the document."""
    paths = httpx.get(f"{api.url}/openapi.json").json()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


OPEN = {"/", "/v1/livez", "/v1/readyz", "/v1/version", "/v1/metrics"}  # the last for this machine


def test_every_route_but_health_wants_a_key(api: Api) -> None:
    closed = [(method, path) for method, path in routes(api) if path not in OPEN]
    assert len(closed) > 15
    for method, path in closed:
        response = httpx.request(method, api.url + re.sub(r"{\w+}", "0" * 32, path))
        assert response.status_code == 401, (method, path)
        assert response.headers["www-authenticate"].startswith("Bearer")
        assert response.headers["content-type"] == "application/problem+json"
    for path in OPEN:
        assert httpx.get(api.url + path).status_code in (200, 503)


def test_another_owners_objects_are_not_there(api: Api, done: dict[str, Any]) -> None:
    names = {"job_id": done["id"], "image_id": done["image_id"], "n": "1"}
    names |= {"stack": "1", "k": "1"}
    with api.client(api.key("eve", SUBMIT, READ)) as eve:
        tried = 0
        for method, path in routes(api):
            if "{job_id}" not in path and "{image_id}" not in path:
                continue
            response = eve.request(method, api.url + path.format(**names))
            assert (response.status_code, response.json()["code"]) == (404, "not_found"), path
            assert '"ada"' not in response.text  # a random id may hold the letters
            tried += 1
        assert tried >= 15
        assert eve.post("/jobs", json={"image_id": done["image_id"]}).status_code == 404
        assert eve.get("/jobs").json()["jobs"] == []
        assert eve.get("/jobs", params={"external_id": "adas"}).json()["jobs"] == []
        again = eve.post("/images", content=npy(1))
        assert again.status_code == 201, "deduplication must not tell what others have"
        assert again.json()["id"] != done["image_id"]


def test_an_admin_sees_and_manages_everything(api: Api, done: dict[str, Any]) -> None:
    with api.client(api.key("boss", ADMIN)) as boss:
        assert boss.get(f"/jobs/{done['id']}").json()["owner"] == "ada"
        assert done["id"] in [job["id"] for job in boss.get("/jobs").json()["jobs"]]
        assert boss.get(f"/jobs/{done['id']}/result").status_code == 200
        again = boss.post(f"/jobs/{done['id']}/retry").json()
        assert again["owner"] == "ada", "it stays its owner's"
        assert boss.post(f"/jobs/{again['id']}/cancel").status_code == 202


@pytest.mark.parametrize(
    ("scope", "method", "path", "status"),
    [
        (READ, "GET", "/jobs", 200),
        (READ, "POST", "/images", 403),
        (READ, "POST", "/jobs", 403),
        (READ, "POST", "/jobs/{id}/cancel", 403),
        (READ, "DELETE", "/jobs/{id}", 403),
        (READ, "GET", "/keys", 403),
        (SUBMIT, "POST", "/images", 201),
        (SUBMIT, "GET", "/jobs/{id}", 403),
        (SUBMIT, "GET", "/jobs/{id}/events", 403),
        (SUBMIT, "GET", "/keys", 403),
        (SUBMIT, "POST", "/keys", 403),
        (ADMIN, "GET", "/keys", 200),
        (ADMIN, "GET", "/jobs", 200),
    ],
)
def test_scopes(
    api: Api, done: dict[str, Any], scope: Scope, method: str, path: str, status: int
) -> None:
    with api.client(api.key(f"only-{scope}", scope)) as client:
        response = client.request(method, path.format(id=done["id"]), content=npy(2))
    assert response.status_code == status, response.text
    if status == 403:
        assert response.json()["code"] == "missing_scope"
        assert "scope" in response.json()["detail"]


@pytest.mark.parametrize(
    ("scope", "whose", "status"),
    [
        (READ, "ada", 403),
        (SUBMIT, "ada", 204),
        (ADMIN, "root", 204),
        (SUBMIT, "bob", 404),
    ],
)
def test_whose_key_may_delete(tmp_path: Path, scope: Scope, whose: str, status: int) -> None:
    """With `submit` what was submitted can be taken back, though not be seen."""
    with running(tmp_path) as api:
        ada, other = api.client(api.key("ada", SUBMIT, READ)), api.client(api.key(whose, scope))
        with ada, other:
            image = ada.post("/images", content=npy()).json()["id"]
            job = ada.post("/jobs", json={"image_id": image}).json()["id"]
            ada.post(f"/jobs/{job}/cancel")
            for path in (f"/jobs/{job}", f"/images/{image}"):
                assert other.delete(path).status_code == status
                assert ada.get(path).status_code == (404 if status == 204 else 200)


def test_a_key_by_either_header_but_not_two(api: Api) -> None:
    key, other = api.key("ada", READ), api.key("ada", READ)
    for headers, status in (
        ({"X-API-Key": key}, 200),
        ({"Authorization": f"Bearer {key}"}, 200),
        ({"Authorization": f"bearer {key}", "X-API-Key": key}, 200),
        ({"Authorization": f"Bearer {other}", "X-API-Key": key}, 401),
        ({"Authorization": f"Basic {key}"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"X-API-Key": key[:-1]}, 401),
        ({"X-API-Key": key + "x"}, 401),
    ):
        response = httpx.get(f"{api.url}/v1/jobs", headers=headers)
        assert response.status_code == status, headers
    query = {"api_key": key, "key": key, "X-API-Key": key, "access_token": key}
    assert httpx.get(f"{api.url}/v1/jobs", params=query).status_code == 401


def test_an_ended_key_says_why_it_is_refused(api: Api) -> None:
    keyring = Keyring(api.database)
    expired = api.key("ada", READ, expires_in_s=-1)
    record, revoked = keyring.create(owner="ada", scopes=[READ])
    with api.client(revoked) as client:
        assert client.get("/jobs").status_code == 200
        keyring.revoke(record.id)
        for key, word in ((expired, "expired"), (revoked, "revoked")):
            response = client.get("/jobs", headers={"Authorization": f"Bearer {key}"})
            assert (response.status_code, response.json()["code"]) == (401, "unauthorized")
            assert word in response.json()["detail"]
            assert key not in response.text


def test_keys_over_http(api: Api) -> None:
    with api.client(api.key("root", ADMIN)) as root:
        wish = {"owner": "lims", "scopes": ["submit", "read"], "name": "LIMS", "expires_days": 2}
        made = root.post("/keys", json=wish)
        assert made.status_code == 201
        assert made.headers["cache-control"] == "no-store"
        key = made.json()["key"]
        assert re.fullmatch(MARK + r"[\w-]{43}", key)
        with api.client(key) as lims:
            assert lims.get("/jobs").status_code == 200
        shown = root.get(made.headers["location"].removeprefix("/v1"))
        assert shown.json()["prefix"] == key[:SHOWN]
        assert shown.json()["last_used_at"] is not None
        listed = root.get("/keys").text
        assert key[:SHOWN] in listed
        assert key not in listed + shown.text
        assert root.delete(f"/keys/{made.json()['id']}").status_code == 204
        assert root.get(f"/keys/{made.json()['id']}").json()["state"] == "revoked"
        assert lims_is_out(api, key)
        assert root.get("/keys/" + "0" * 32).status_code == 404
        for bad in (
            {"owner": "x"},
            {"owner": "x", "scopes": []},
            {"owner": "x", "scopes": ["root"]},
            {"owner": "a b", "scopes": ["read"]},
            {"owner": "x", "scopes": ["read"], "expires_days": 0},
        ):
            assert root.post("/keys", json=bad).status_code == 422, bad


def lims_is_out(api: Api, key: str) -> bool:
    with api.client(key) as client:
        return client.get("/jobs").status_code == 401


def test_the_ledger_does_not_hold_the_key(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    database = Database.open(f"sqlite:///{path}")
    _, key = Keyring(database).create(owner="ada", scopes=[READ])
    database.close()
    everything = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert key[:SHOWN].encode() in everything
    assert key[SHOWN:].encode() not in everything


def test_without_any_key_only_this_machine_is_served(tmp_path: Path) -> None:
    with running(tmp_path) as api, api.client() as client:
        assert client.get("/jobs").status_code == 200
        for headers in (
            {"X-Forwarded-For": "203.0.113.5"},  # as a proxy says; also of the machine itself
            {"Forwarded": "for=127.0.0.1"},
            {"Host": "reucid.example.org"},  # another site's name that leads here
            {"Origin": "https://example.org"},  # another site's page in a browser
            {"X-API-Key": MARK + "x" * 43},  # a wrong key is not no key
        ):
            response = client.get("/jobs", headers=headers)
            assert response.status_code == 401, headers
        port = api.url.rsplit(":", 1)[1]
        for headers in (
            {"Sec-Fetch-Site": "cross-site"},  # also of a GET, which has no Origin
            {"Sec-Fetch-Site": "same-site"},  # another program's page on this machine
            {"Sec-Fetch-Site": "nonsense"},
            {"Sec-Fetch-Site": "cross-site", "Origin": api.url},
            {"Sec-Fetch-Site": "cross-site", "Host": f"127.0.0.1:{port}"},
            {"Origin": f"https://127.0.0.1:{port}"},  # another scheme
            {"Origin": "http://127.0.0.1:1"},  # another port
            {"Origin": "http://127.0.0.1"},
            {"Origin": f"http://localhost:{port}"},
            {"Origin": "null"},
            {"Origin": f"{api.url}/"},
            {"Origin": f"{api.url}@example.org"},
        ):
            for method, path in (("GET", "/jobs"), ("GET", "/metrics"), ("POST", "/images")):
                response = client.request(method, path, headers=headers)
                assert response.status_code == 401, (method, path, headers)
        twice = [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")]
        assert client.get("/jobs", headers=twice).status_code == 401
        twice = [("Origin", api.url), ("Origin", "https://example.org")]
        assert client.get("/jobs", headers=twice).status_code == 401
        for site in ("same-origin", "none"):
            assert client.get("/jobs", headers={"Sec-Fetch-Site": site}).status_code == 200
        origin = {"Origin": api.url}
        assert client.post("/images", content=npy(3), headers=origin).status_code == 201
        record, _ = Keyring(api.database).create(owner="ada", scopes=[READ])
        assert client.get("/jobs").status_code == 401
        Keyring(api.database).revoke(record.id)
        assert client.get("/jobs").status_code == 401, "revoking must not open the server"


@pytest.mark.parametrize("route", ["images", "jobs"])
def test_an_upload_without_a_key_is_refused_before_it_is_read(api: Api, route: str) -> None:
    address = ("127.0.0.1", int(api.url.rsplit(":", 1)[1]))
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(
            f"POST /v1/{route} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n"
            "Content-Type: multipart/form-data; boundary=x\r\n\r\n".encode()
        )
        assert connection.recv(64).startswith(b"HTTP/1.1 401")


def test_keys_on_the_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REUCID_DATA_DIR", str(tmp_path))
    assert reucid("keys", "list") == 0
    assert "no keys" in capsys.readouterr().out
    assert reucid("keys", "create", "--owner", "ada", "--scope", "read", "--name", "LIMS") == 0
    key = capsys.readouterr().out.strip()
    assert re.fullmatch(MARK + r"[\w-]{43}", key)
    assert reucid("keys", "list") == 0
    listed = capsys.readouterr().out
    assert key not in listed
    assert ("LIMS" in listed, "valid" in listed, key[:SHOWN] in listed) == (True,) * 3
    assert reucid("keys", "revoke", listed.split()[0]) == 0
    assert "revoked" in capsys.readouterr().out
    assert reucid("keys", "revoke", "nonsense") == 2
    assert "no key nonsense" in capsys.readouterr().err
    assert reucid("keys", "create", "--owner", "a b") == 2
    assert reucid("keys", "create", "--owner", "ada", "--scope", "root") == 2
    capsys.readouterr()
    assert reucid("serve", "--host", "0.0.0.0", "--port", "0") == 2  # noqa: S104
    assert "keys create" in capsys.readouterr().err, "a revoked key does not count"


def test_commands_show_the_key_of_the_environment(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "image.npy"
    path.write_bytes(npy(4))
    assert reucid("submit", path, "--server", api.url) == 2
    assert "no key" in capsys.readouterr().err
    monkeypatch.setenv("REUCID_API_KEY", api.key("ada", SUBMIT, READ))
    assert reucid("submit", path, "--server", api.url) == 0
    job_id = capsys.readouterr().out.strip()
    api.work(job_id)
    assert reucid("bundle", job_id, "-o", tmp_path / "a.zip", "--server", api.url) == 0
    monkeypatch.delenv("REUCID_API_KEY")
    assert reucid("bundle", job_id, "-o", tmp_path / "b.zip", "--server", api.url) == 2


def test_no_key_is_ever_logged(tmp_path: Path) -> None:
    """A whole server on all addresses: what it prints and writes holds no key."""
    data = tmp_path / "data"
    database = Database.open(f"sqlite:///{data / 'ledger.sqlite'}")
    _, key = Keyring(database).create(owner="ada", scopes=[ADMIN])
    database.close()
    with served(data, "--host", "0.0.0.0") as server:  # noqa: S104
        headers = {"Authorization": f"Bearer {key}", "X-Request-ID": "look-for-me"}
        with httpx.Client(base_url=f"{server.url}/v1", headers=headers, timeout=60) as client:
            assert client.get("/jobs").status_code == 200
            job = client.post("/jobs", files={"file": npy(5)}).json()
            assert client.get(f"/jobs/{job['id']}", params={"wait": 1}).status_code == 200
            assert client.get("/jobs", params={"cursor": "nonsense"}).status_code == 422
            for wrong in ({"X-API-Key": key[:-1]}, {"Authorization": f"Basic {key}"}):
                assert client.get("/jobs", headers=wrong).status_code == 401
            new = client.post("/keys", json={"owner": "new", "scopes": ["read"]}).json()["key"]
    printed = server.log.read_text()
    assert server.url.rsplit(":", 1)[1] in printed
    for path in data.rglob("*"):
        printed += path.read_bytes().decode("latin-1") if path.is_file() else ""
    assert printed
    for secret in (key, new):
        assert secret[SHOWN : SHOWN + 12] not in printed


@pytest.mark.parametrize("scopes", [[READ], [SUBMIT, READ], [ADMIN]])
def test_a_client_is_told_whom_its_key_stands_for(api: Api, scopes: list[Scope]) -> None:
    with api.client(api.key("grace", *scopes)) as grace:
        told = grace.get("/caller").json()
    assert told == {"owner": "grace", "scopes": sorted(scopes)}
