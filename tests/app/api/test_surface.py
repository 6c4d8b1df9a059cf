"""The rows of the REST surface, each by what HTTP says of it."""

import base64
import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.api.artifacts import artifact
from app.api.pictures import block_means
from app.http.negotiation import choose
from app.http.problems import Problem
from tests.support.inprocess import Api, npy, running
from worker.ledger.refusals import NotFoundError

PARAMS = {"patch_size": 5, "stacks": 2, "components": 4}


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
        form = {"params": json.dumps(PARAMS), "batch": "series-7", "labels": '{"a":"b"}'}
        files = {"file": ("Ä lattice.npy", npy(1))}
        job = client.post("/jobs", files=files, data=form).json()
        api.work(job["id"])
        return dict(client.get(f"/jobs/{job['id']}").json())


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.headers["content-type"] == "application/problem+json", response.text
    body = dict(response.json())
    assert (response.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["request_id"] == response.headers["x-request-id"]
    return body


# Images


def test_content_is_what_was_sent(client: httpx.Client, done: dict[str, Any]) -> None:
    url = f"/images/{done['image_id']}/content"
    whole = client.get(url)
    assert whole.content == npy(1)
    digest = hashlib.sha256(npy(1))
    assert whole.headers["etag"] == f'"{digest.hexdigest()}"'
    encoded = base64.b64encode(digest.digest()).decode()
    assert whole.headers["repr-digest"] == f"sha-256=:{encoded}:"
    assert "%C3%84%20lattice.npy" in whole.headers["content-disposition"]


def test_a_damaged_image_is_never_served(api: Api, client: httpx.Client) -> None:
    image = client.post("/images", content=npy(9)).json()
    path = api.store.original(image["id"])
    path.write_bytes(npy(9)[:-1] + b"x")
    problem(client.get(f"/images/{image['id']}/content"), 500, "damaged_image")


def test_damaged_pixels_are_never_served_nor_denoised_and_an_upload_heals_them(
    api: Api, client: httpx.Client
) -> None:
    form = {"params": json.dumps(PARAMS)}
    job = client.post("/jobs", files={"file": npy(10)}, data=form).json()
    api.work(job["id"])
    path = api.store.pixels(job["image_id"])
    good = path.read_bytes()
    wanted = {"image_id": job["image_id"], "params": PARAMS}
    for damaged in (good[:-2] + bytes([good[-2] ^ 1]) + good[-1:], None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        side = 40 if damaged is None else 32
        problem(client.get(f"/jobs/{job['id']}/residual"), 500, "damaged_image")
        preview = f"/images/{job['image_id']}/preview.png?side={side}"
        problem(client.get(preview), 500, "damaged_image")
        again = client.post("/jobs", json=wanted).json()
        api.work(again["id"])
        ended = client.get(f"/jobs/{again['id']}").json()
        assert (ended["state"], ended["error"]["code"]) == ("failed", "damaged_image")
        sent = client.post("/images", content=npy(10))
        assert (sent.status_code, sent.json()["id"]) == (200, job["image_id"])
        assert path.read_bytes() == good
        assert client.get(preview).status_code == 200
    healed = client.post("/jobs", json=wanted).json()
    api.work(healed["id"])
    results = [client.get(f"/jobs/{each['id']}/result").content for each in (job, healed)]
    assert results[0] == results[1]


@pytest.mark.parametrize(("side", "longest"), [(16, 14), (512, 40)])
def test_preview(client: httpx.Client, done: dict[str, Any], side: int, longest: int) -> None:
    response = client.get(f"/images/{done['image_id']}/preview.png", params={"side": side})
    picture = Image.open(io.BytesIO(response.content))
    assert picture.mode == "L"
    assert max(picture.size) == longest
    assert picture.getextrema() == (0, 255)


@pytest.mark.parametrize("damaged", ["preview-64.png", "preview-64.png.json"])
def test_a_damaged_rendition_is_drawn_again(
    api: Api, client: httpx.Client, done: dict[str, Any], damaged: str
) -> None:
    url = f"/images/{done['image_id']}/preview.png?side=64"
    good = client.get(url)
    path = api.store.image_renditions(done["image_id"]) / damaged
    for content in (b"", path.read_bytes()[:-1]):
        path.write_bytes(content)
        again = client.get(url)
        assert (again.content, again.headers["etag"]) == (good.content, good.headers["etag"])


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12))
def test_block_means_are_means_of_blocks(rows: int, columns: int, step: int) -> None:
    frame = np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns)
    means = block_means(frame, step)
    for i, j in np.ndindex(means.shape):
        block = frame[i * step : (i + 1) * step, j * step : (j + 1) * step]
        assert means[i, j] == pytest.approx(block.mean())


def test_an_image_in_use_is_not_deleted(client: httpx.Client, done: dict[str, Any]) -> None:
    problem(client.delete(f"/images/{done['image_id']}"), 409, "conflict")
    free = client.post("/images", content=npy(2)).json()
    assert client.delete(f"/images/{free['id']}").status_code == 204
    problem(client.get(f"/images/{free['id']}"), 404, "not_found")


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("image/tiff", 201),
        ("application/x-npy", 201),
        ("text/plain", 415),
        ("application/json", 415),
    ],
)
def test_content_type_of_a_raw_upload(client: httpx.Client, media_type: str, status: int) -> None:
    body = npy(100 + len(media_type))
    response = client.post("/images", content=body, headers={"Content-Type": media_type})
    assert response.status_code == status
    if status == 415:
        assert media_type in problem(response, 415, "unsupported_media_type")["detail"]


# Digests


def member(name: str, body: bytes) -> str:
    digest = hashlib.new(name.replace("-", ""), body).digest()
    return f"{name}=:{base64.b64encode(digest).decode()}:"


def test_content_digest_of_a_file_is_checked(client: httpx.Client) -> None:
    def send(value: str, body: bytes = npy(3)) -> httpx.Response:
        return client.post("/images", content=body, headers={"Content-Digest": value})

    before = len(client.get("/images").json()["images"])
    right = member("sha-256", npy(3))
    for wrong in (member("sha-256", b"other"), f"{right}, {member('sha-512', b'x')}"):
        problem(send(wrong), 400, "digest_mismatch")
    problem(send("sha-256=abc"), 400, "invalid_digest")
    assert len(client.get("/images").json()["images"]) == before
    assert send(f"{right},{member('sha-512', npy(3))}").status_code == 201
    assert send("md5=:AAAA:", npy(4)).status_code == 201, "unknown ones are ignored"


def test_content_digest_of_a_form_is_that_of_the_whole_form(client: httpx.Client) -> None:
    form = httpx.Request("POST", "http://x", files={"file": npy(5)})
    headers = {
        "Content-Type": form.headers["Content-Type"],
        "Content-Digest": member("sha-256", form.read()),
    }
    for body, status in ((form.read(), 202), (form.read() + b" ", 400)):
        assert client.post("/jobs", content=body, headers=headers).status_code == status


# Ranges and conditions


@pytest.fixture(params=["images", "jobs", "preview", "eigenpatch"])
def file_url(request: pytest.FixtureRequest, done: dict[str, Any]) -> str:
    return {
        "images": f"/images/{done['image_id']}/content",
        "preview": f"/images/{done['image_id']}/preview.png",
        "jobs": f"/jobs/{done['id']}/result",
        "eigenpatch": f"/jobs/{done['id']}/eigenpatches/1/2.png",
    }[str(request.param)]


def test_ranges(client: httpx.Client, file_url: str) -> None:
    whole = client.get(file_url)
    size = len(whole.content)

    def part(range_: str, **headers: str) -> httpx.Response:
        return client.get(file_url, headers={"Range": range_} | headers)

    for range_, piece in (("bytes=3-7", slice(3, 8)), ("bytes=-4", slice(-4, None))):
        response = part(range_)
        assert (response.status_code, response.content) == (206, whole.content[piece])
    response = part(f"bytes={size}-")
    problem(response, 416, "range_not_satisfiable")
    assert response.headers["content-range"] == f"bytes */{size}"
    for ignored in ("bytes=7-3", "lines=1-2", "bytes=", "bytes=a-b", "nonsense"):
        assert part(ignored).status_code == 200, ignored
    current, stale = whole.headers["etag"], '"other"'
    assert part("bytes=0-1", **{"If-Range": current}).status_code == 206
    assert part("bytes=0-1", **{"If-Range": stale}).content == whole.content


def test_conditions(client: httpx.Client, file_url: str) -> None:
    etag = client.get(file_url).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        response = client.get(file_url, headers={"If-None-Match": known})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == etag
    assert client.get(file_url, headers={"If-None-Match": '"other"'}).status_code == 200


# HEAD, methods, negotiation


def test_head_is_get_without_content(client: httpx.Client, done: dict[str, Any]) -> None:
    here = f"/jobs/{done['id']}"
    paths = ("/jobs", here, f"{here}/result", f"{here}/report", f"{here}/events", "/nowhere")
    for path in (*paths, f"/images/{done['image_id']}/content"):
        get, head = client.get(path), client.head(path)
        assert head.status_code == get.status_code
        assert head.content == b""
        for name in ("content-type", "content-length", "etag"):
            if name in get.headers and path != "/nowhere":
                assert head.headers[name] == get.headers[name], (path, name)
    waiting = client.post("/jobs", files={"file": npy(6)}).json()
    assert client.head(f"/jobs/{waiting['id']}/events").status_code == 200, "and it ends"


def test_wrong_method(client: httpx.Client) -> None:
    response = client.patch("/jobs")
    problem(response, 405, "method_not_allowed")
    assert {"GET", "HEAD", "POST"} == set(response.headers["allow"].split(", "))


def test_report_is_negotiated(client: httpx.Client, done: dict[str, Any]) -> None:
    url = f"/jobs/{done['id']}/report"
    for accept, media_type in (
        ("*/*", "application/json"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("text/csv;q=0.1, application/json", "application/json"),
        ("text/*", "text/csv; charset=utf-8"),
    ):
        headers = {"Accept": accept}
        response = client.get(url, headers=headers)
        assert response.headers["content-type"] == media_type
        assert response.headers["vary"] == "Accept"
        headers |= {"If-None-Match": response.headers["etag"]}
        assert client.get(url, headers=headers).status_code == 304
    problem(client.get(url, headers={"Accept": "text/html"}), 406, "not_acceptable")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "a/x"),
        ("*/*", "a/x"),
        ("a/y", "a/y"),
        ("a/y;q=0.5, a/x;q=0.4", "a/y"),
        ("*/*;q=0.1, b/*", "b/z"),
        ("a/*, a/x;q=0", "a/y"),
        ("A/Y ; Q=1", "a/y"),
        ("text/html", None),
        ("a/x;q=0", None),
        ("a/x;q=nonsense", None),
    ],
)
def test_choosing_by_quality(accept: str, chosen: str | None) -> None:
    offers = ["a/x", "a/y", "b/z"]
    if chosen is None:
        with pytest.raises(Problem, match="expected one of a/x, a/y, b/z"):
            choose(accept, offers)
    else:
        assert choose(accept, offers) == chosen


# Lists


def test_pages_by_link_and_cursor(api: Api, client: httpx.Client) -> None:
    image = client.post("/images", content=npy(7)).json()["id"]
    body = {"image_id": image, "batch": "pages", "labels": {"ä & ö": "1"}}
    made = [client.post("/jobs", json=body).json()["id"] for _ in range(5)]
    first = client.get("/jobs", params={"batch": "pages", "label": "ä & ö=1", "limit": 2})
    seen = [job["id"] for page in pages(api, client, first) for job in page["jobs"]]
    assert seen == made[::-1]
    assert client.get("/jobs", params={"batch": "pages", "state": "succeeded"}).json()["jobs"] == []
    assert not first.json()["next"].isdigit()
    first = client.get("/images", params={"limit": 1})
    images = [image["id"] for page in pages(api, client, first) for image in page["images"]]
    everything = client.get("/images", params={"limit": 200}).json()["images"]
    assert images == [image["id"] for image in everything]
    assert len(images) > 3


def pages(api: Api, client: httpx.Client, page: httpx.Response) -> Iterator[dict[str, Any]]:
    while True:
        yield page.json()
        if "next" not in page.links:
            assert page.json()["next"] is None
            return
        assert page.json()["next"] in page.links["next"]["url"]
        page = client.get(api.url + page.links["next"]["url"])


STRANGE = ["12", "", "x" * 200, "W10", "WzFlOTld", "WyJhIl0", "Wzk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5XQ"]


@pytest.mark.parametrize("cursor", [*STRANGE, "WzEsMl0", "W05hTiwiYSJd"])
@pytest.mark.parametrize("path", ["/jobs", "/images"])
def test_a_strange_cursor_is_refused(client: httpx.Client, path: str, cursor: str) -> None:
    body = problem(client.get(path, params={"cursor": cursor}), 422, "invalid_request")
    assert body["errors"][0]["field"] == "query.cursor"


# Models, parameters, eigenpatches, preferences


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
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/lab/reucid"}]


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
