"""Health, version, documentation."""

import httpx
import pytest


@pytest.mark.parametrize("prefix", ["", "/v1"])
@pytest.mark.parametrize("path", ["/livez", "/readyz"])
def test_alive_and_ready(server: str, prefix: str, path: str) -> None:
    assert httpx.get(server + prefix + path).json() == {"status": "ok", "problems": []}


def test_version(api: httpx.Client) -> None:
    assert api.get("/version").json()["version"]


def test_documentation_is_served_without_any_other_host(server: str) -> None:
    page = httpx.get(f"{server}/docs").text
    assert "swagger-ui" in page
    assert "https://" not in page
    assert httpx.get(f"{server}/static-offline-docs/swagger-ui-bundle.js").status_code == 200


def test_request_id_is_echoed_if_harmless(api: httpx.Client) -> None:
    assert api.get("/nowhere", headers={"X-Request-ID": "a-1"}).json()["request_id"] == "a-1"
    assert api.get("/nowhere", headers={"X-Request-ID": "a b"}).json()["request_id"] != "a b"
