"""A server that listens on the loopback address of IPv6."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.inprocess import npy
from tests.support.servers import served
from worker.settings import Settings


def has_ipv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("ipv6")
    with served(folder / "data", "--host", "::1") as server:
        assert server.url.startswith("http://[::1]:")
        yield server.url


def test_this_machine_needs_no_key_there_either(url: str) -> None:
    port = url.rsplit(":", 1)[1]
    with httpx.Client(base_url=url, trust_env=False, timeout=60) as client:
        image = client.post("/v1/images", content=npy()).json()["id"]
        sent = {"image_id": image, "params": {"patch_size": 5}}
        accepted = client.post("/v1/jobs", json=sent)
        assert accepted.status_code == 202
        where = accepted.headers["location"]
        assert where == f"/v1/jobs/{accepted.json()['id']}"
        job = client.get(where, params={"wait": 60}).json()
        assert job["state"] == "succeeded"
        assert client.get(job["links"]["result"]).status_code == 200
        assert client.get("/metrics").status_code == 200
        for host, status in {
            f"[::1]:{port}": 200,
            "[0:0:0:0:0:0:0:1]": 200,
            "localhost": 200,
            "127.0.0.1": 200,
            "[2001:db8::1]": 401,  # by a name of somebody else's
            "::1": 400,  # without brackets it is no host and port
            "[::1%lo]": 400,
        }.items():
            assert client.get("/v1/jobs", headers={"Host": host}).status_code == status, host
        for origin, status in {
            url: 200,
            f"http://localhost:{port}": 401,
            "http://[::1]:1": 401,
            f"https://[::1]:{port}": 401,
        }.items():
            got = client.get("/v1/jobs", headers={"Origin": origin}).status_code
            assert got == status, origin


def test_what_came_through_a_proxy_is_not_this_machine(url: str) -> None:
    with httpx.Client(base_url=url, trust_env=False) as client:
        for client_address in ("::1", "2001:db8::7", "127.0.0.1"):
            answer = client.get("/v1/jobs", headers={"X-Forwarded-For": client_address})
            assert answer.status_code == 401
    assert "::1" in Settings().trusted_proxies.split(","), "a proxy on this machine is believed"


def test_another_address_than_loopback_needs_a_key(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="expected a loopback address"),
        served(tmp_path / "data", "--host", "::"),
    ):
        pass
