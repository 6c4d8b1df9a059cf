"""Digests, ranges, conditions, methods, negotiation and pages, the same of all resources."""

import base64
import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.http.negotiation import choose
from app.http.problems import Problem
from tests.support.clients import problem
from tests.support.inprocess import Api, npy

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
