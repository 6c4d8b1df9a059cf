"""Jobs, models and eigenpatches, each by what HTTP says of it."""

import base64
import io
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from PIL import Image

from app.api.artifacts import artifact
from tests.support.clients import problem
from tests.support.inprocess import Api, npy, running
from worker.ledger.refusals import NotFoundError


def test_models_and_parameters(client: httpx.Client, done: dict[str, Any]) -> None:
    model = next(each for each in client.get("/models").json()["models"] if each["default"])
    report = client.get(f"/jobs/{done['id']}/report").json()
    assert model["identity"] == report["model"]
    assert model["card"]["thresholds"][report["scan_noise"]] == report["threshold"]
    schema = client.get("/schema/params").json()
    assert {"engine", "patch_size", "stacks", "seed", "model", "scan_noise"} <= schema[
        "properties"
    ].keys()


def test_one_eigenpatch(client: httpx.Client, done: dict[str, Any]) -> None:
    url = f"/jobs/{done['id']}/eigenpatches"
    picture = Image.open(io.BytesIO(client.get(f"{url}/2/4.png").content))
    assert {0, 255} & set(picture.getextrema()), "scaled by its largest magnitude"
    for missing in ("3/1", "1/5"):
        problem(client.get(f"{url}/{missing}.png"), 404, "not_found")
    problem(client.get(f"{url}/0/1.png"), 422, "invalid_request")


def test_waiting_is_confirmed(client: httpx.Client) -> None:
    prefer = {"Prefer": "respond-async, wait=1"}
    response = client.post("/jobs", files={"file": npy(8)}, headers=prefer)
    assert (response.status_code, response.headers["preference-applied"]) == (202, "wait=1")


def test_answers_under_a_proxys_path(tmp_path_factory: pytest.TempPathFactory) -> None:
    with (
        running(tmp_path_factory.mktemp("prefix"), root_path="/lab/reucid") as api,
        httpx.Client(base_url=api.url) as client,
    ):
        for prefix in ("", "/lab/reucid"):  # a proxy may strip the path or not
            response = client.post(f"{prefix}/v1/jobs", files={"file": npy(len(prefix))})
            job = response.json()
            assert response.headers["location"] == f"/lab/reucid/v1/jobs/{job['id']}"
            assert job["links"]["self"] == response.headers["location"]
            key = client.post(f"{prefix}/v1/keys", json={"owner": "local", "scopes": ["admin"]})
            assert key.headers["location"].startswith("/lab/reucid/v1/keys/")
            client.headers["X-API-Key"] = key.json()["key"]
            page = client.get(f"{prefix}/v1/jobs", params={"limit": 1})
            assert client.get(f"{prefix}/v1/jobs/{job['id']}").status_code == 200
            docs = client.get(f"{prefix}/docs")
            assert "/lab/reucid/static-offline-docs" in docs.text
            script = f"{prefix}/static-offline-docs/swagger-ui-bundle.js"
            assert client.get(script).status_code == 200
            assert "unsafe-inline" in docs.headers["content-security-policy"]
        assert page.links["next"]["url"].startswith("/lab/reucid/v1/jobs?limit=1&cursor=")
        servers = client.get("/openapi.json").json()["servers"]
        assert [server["url"] for server in servers] == ["/lab/reucid"]


def test_a_picture_with_a_look_is_known_by_its_tag(
    client: httpx.Client, done: dict[str, Any]
) -> None:
    url = f"/jobs/{done['id']}/result?format=png&colormap=viridis"
    first = client.get(url)
    again = client.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(url.replace("viridis", "magma"))
    assert other.headers["etag"] != first.headers["etag"]


def test_a_job_without_a_result_has_no_interim_results_either(client: httpx.Client) -> None:
    job = client.post("/jobs", files={"file": npy(11)}).json()
    client.post(f"/jobs/{job['id']}/cancel")
    for path in ("result", "report", "interim", "interim/1"):
        problem(client.get(f"/jobs/{job['id']}/{path}"), 409, "no_result")


def test_a_deleted_job_is_not_found_rather_than_damaged(api: Api, done: dict[str, Any]) -> None:
    services: Any = SimpleNamespace(store=api.store, jobs=api.jobs)
    job = replace(api.jobs.get(done["id"]), id="0" * 32)  # as it was looked up before
    with pytest.raises(NotFoundError):
        artifact(services, job, "result.npy")


@pytest.mark.parametrize("field", ["params", "labels", "metadata"])
def test_deep_json_in_a_form_is_refused(client: httpx.Client, field: str) -> None:
    response = client.post("/jobs", files={"file": npy(1)}, data={field: "[" * 30_000})
    assert problem(response, 422, "invalid_request")["errors"][0]["field"] == field


def test_a_cursor_that_is_no_text_is_refused(client: httpx.Client) -> None:
    cursor = base64.urlsafe_b64encode(b'[1.0,"\\ud800"]').decode().rstrip("=")
    problem(client.get("/images", params={"cursor": cursor}), 422, "invalid_request")


@pytest.mark.parametrize("path", ["result", "residual", "coverage", "eigenpatches.png"])
def test_a_frame_beyond_all_stacks_is_refused(
    client: httpx.Client, done: dict[str, Any], path: str
) -> None:
    url = f"/jobs/{done['id']}/{path}"
    problem(client.get(url, params={"frame": "9" * 300}), 422, "invalid_request")


def test_the_document_is_under_v1_as_well(api: Api, client: httpx.Client) -> None:
    assert client.get("/openapi.json").json() == httpx.get(f"{api.url}/openapi.json").json()


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 30])
def test_the_last_event_is_a_number(client: httpx.Client, done: dict[str, Any], last: str) -> None:
    response = client.get(f"/jobs/{done['id']}/events", headers={"Last-Event-ID": last})
    problem(response, 422, "invalid_request")
