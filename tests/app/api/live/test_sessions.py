"""Sessions by REST: frames in, results out, a job at the end; and all that is refused."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image

from tests.support.inprocess import Api
from tests.support.live import SHAPE, frame_of, worker
from tests.support.waiting import until
from worker.bundles.verification import verify

SPEC = {"shape": list(SHAPE), "keep_frames": 3, "history": 2}
ROWS = SHAPE[0]


def open_session(client: httpx.Client, **stated: Any) -> str:
    answer = client.post("/sessions", json=SPEC | stated)
    assert answer.status_code == 201, answer.text
    session_id: str = answer.json()["id"]
    return session_id


def put(
    client: httpx.Client, session_id: str, frame: int, rows: str | None = None, body: Any = None
) -> httpx.Response:
    pixels = frame_of(frame)
    if rows is not None:
        first, last = map(int, rows.split("-"))
        pixels = pixels[first : last + 1]
    headers = {} if rows is None else {"Reucid-Rows": rows}
    content = pixels.tobytes() if body is None else body
    return client.put(f"/sessions/{session_id}/frames/{frame}", content=content, headers=headers)


def latest(client: httpx.Client, session_id: str, after: int = 0, **query: Any) -> httpx.Response:
    return client.get(f"/sessions/{session_id}/latest", params={"after": after, "wait": 30} | query)


@contextmanager
def live(api: Api, client: httpx.Client, **stated: Any) -> Iterator[str]:
    session_id = open_session(client, **stated)
    with worker(api.settings.redis_url or "", api.database, session_id):
        yield session_id


def test_a_frame_in_is_a_result_out(api: Api, client: httpx.Client) -> None:
    with live(api, client) as session_id:
        sent = put(client, session_id, 0)
        assert sent.status_code == 202
        assert sent.json()["received"] == 1
        found = latest(client, session_id)
        assert found.headers["Reucid-Frame"] == "0"
        assert found.headers["Reucid-Rows"] == f"0-{ROWS - 1}"
        assert int(found.headers["Reucid-Age-Ms"]) >= 0
        image = np.frombuffer(found.content, "<f4").reshape(SHAPE)
        raw = frame_of(0).astype(float)
        assert 0 < np.mean((image - raw) ** 2) < raw.var()
        after = int(found.headers["Reucid-Sequence"])
        nothing = client.get(f"/sessions/{session_id}/latest", params={"after": after})
        assert nothing.status_code == 204
        assert nothing.headers["Reucid-Processed"] == "1"


def test_rows_fill_in_and_the_rest_is_nan(api: Api, client: httpx.Client) -> None:
    with live(api, client) as session_id:
        after = 0
        for stop in (16, 32, ROWS):
            assert put(client, session_id, 0, f"{stop - 16}-{stop - 1}").status_code == 202
            found = latest(client, session_id, after)
            after = int(found.headers["Reucid-Sequence"])
            assert found.headers["Reucid-Rows"] == f"0-{stop - 1}"
            image = np.frombuffer(found.content, "<f4").reshape(SHAPE)
            assert np.isfinite(image[:stop]).all()
            assert np.isnan(image[stop:]).all()


def test_a_result_in_every_format_and_the_raw_frame(api: Api, client: httpx.Client) -> None:
    with live(api, client) as session_id:
        put(client, session_id, 0)
        raw = latest(client, session_id).content
        here = f"/sessions/{session_id}"
        npy, tiff, png = (
            client.get(f"{here}/latest", params={"format": each}).content
            for each in ("npy", "tiff", "png")
        )
        assert np.load(io.BytesIO(npy)).tobytes() == raw
        assert tifffile.imread(io.BytesIO(tiff)).tobytes() == raw
        assert Image.open(io.BytesIO(png)).size == SHAPE[::-1]
        measured = client.get(f"{here}/frames/0")
        assert measured.headers["Reucid-Dtype"] == "<u2"
        assert measured.content == frame_of(0).tobytes()
        (held,) = client.get(f"{here}/results").json()["results"]
        assert client.get(f"{here}/results/{held['sequence']}").content == raw
        assert client.get(f"{here}/results/{held['sequence'] + 1}").status_code == 404
        assert client.get(f"{here}/frames/1").status_code == 404


@pytest.mark.parametrize(
    ("frame", "rows", "body", "status", "code"),
    [
        (5, f"0-{ROWS}", b"", 422, "invalid_request"),
        (5, "3-2", b"", 422, "invalid_request"),
        (5, "all", b"", 422, "invalid_request"),
        (5, "0-0", b"\0", 422, "wrong_size"),
        (5, None, b"\0" * 9, 422, "wrong_size"),
        (5, None, b"\0" * 2 * (SHAPE[0] * SHAPE[1] + 1), 422, "wrong_size"),
        (1, None, None, 409, "frame_passed"),
        (2, "8-20", None, 409, "rows_overlap"),
        (2**53, None, None, 422, "invalid_request"),
        (-1, None, None, 422, "invalid_request"),
    ],
)
def test_bad_rows(
    client: httpx.Client, frame: int, rows: str | None, body: bytes | None, status: int, code: str
) -> None:
    session_id = open_session(client)
    assert put(client, session_id, 2, "0-9").status_code == 202
    if body is None:
        stop = ROWS if rows is None else int(rows.split("-")[1]) + 1
        start = 0 if rows is None else int(rows.split("-")[0])
        body = frame_of(0)[start:stop].tobytes()
    headers = {} if rows is None else {"Reucid-Rows": rows}
    answer = client.put(f"/sessions/{session_id}/frames/{frame}", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_the_same_rows_again_are_counted_and_ignored(client: httpx.Client) -> None:
    session_id = open_session(client)
    put(client, session_id, 0, "0-9")
    again = put(client, session_id, 0, "0-9")
    assert again.status_code == 202
    assert again.json()["repeated"] == 1


def test_pixels_that_are_no_numbers(client: httpx.Client) -> None:
    session_id = open_session(client, dtype="float32")
    pixels = np.full(SHAPE, np.nan, "<f4").tobytes()
    answer = client.put(f"/sessions/{session_id}/frames/0", content=pixels)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_image")


def test_a_blank_frame_is_shown_as_it_is(api: Api, client: httpx.Client) -> None:
    with live(api, client) as session_id:
        blank = np.full(SHAPE, 7, "<u2").tobytes()
        client.put(f"/sessions/{session_id}/frames/0", content=blank)
        found = latest(client, session_id)
        assert found.headers["Reucid-Undenoised"] == "true"
        assert set(np.frombuffer(found.content, "<f4")) == {7.0}
        put(client, session_id, 1)
        after = int(found.headers["Reucid-Sequence"])
        assert latest(client, session_id, after).headers["Reucid-Undenoised"] == "false"


def test_limits_are_named(client: httpx.Client) -> None:
    large = client.post("/sessions", json=SPEC | {"shape": [65, 64]})
    assert large.json()["limit"] == {"name": "live_max_pixels", "value": 4096, "got": 4160}
    for _ in range(3):
        open_session(client)
    full = client.post("/sessions", json=SPEC)
    assert (full.status_code, full.json()["code"]) == (429, "too_many_sessions")
    assert full.json()["limit"]["name"] == "live_sessions_per_key"
    assert int(full.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "stated",
    [
        {"params": {"model": "paper"}},
        {"params": {"frame": 3}},
        {"params": {"stacks": 4}},
        {"params": {"patch_size": 49}},
        {"dtype": "complex64"},
        {"shape": [2, 9]},
        {"shape": [9]},
        {"memory_frames": -1},
        {"keep_frames": 0},
        {"unknown": 1},
    ],
)
def test_a_session_that_cannot_be(client: httpx.Client, stated: dict[str, Any]) -> None:
    answer = client.post("/sessions", json=SPEC | stated)
    assert answer.status_code == 422
    assert answer.json()["code"] == "invalid_request"


@pytest.mark.parametrize(("keep", "frames"), [("last", 1), ("stack", 3), ("sum", 3)])
def test_the_end_makes_a_job(
    api: Api, client: httpx.Client, keep: str, frames: int, tmp_path: Path
) -> None:
    with live(api, client, labels={"run": keep}) as session_id:
        for frame in range(4):
            put(client, session_id, frame)
            until(lambda: client.get(f"/sessions/{session_id}").json()["counts"]["waiting"] == 0)
        put(client, session_id, 4, "0-3")  # never whole
        until(lambda: client.get(f"/sessions/{session_id}").json()["counts"]["shown"] == 4)
        ended = client.post(f"/sessions/{session_id}/close", json={"keep": keep})
        assert ended.status_code == 200, ended.text
        session = ended.json()
        assert (session["state"], session["reason"]) == ("closed", "closed")
        assert client.post(f"/sessions/{session_id}/close", json={}).json() == session
        (job_id,) = session["jobs"]
        api.work(job_id)
        job = client.get(f"/jobs/{job_id}").json()
        assert (job["state"], job["labels"]) == ("succeeded", {"run": keep})
        told = client.get(f"/jobs/{job_id}/report").json()["parameters"]["session"]
        assert told["frames"] == [1, 2, 3][-frames:]
        assert told["counts"]["received"] == 5
        assert told["counts"]["processed"] + told["counts"]["superseded"] >= 3
        assert told["course"][0]["noise_variance"] > 0
        original = client.get(f"/images/{job['image_id']}/content").content
        pixels = tifffile.imread(io.BytesIO(original))
        expected = {
            "last": frame_of(3),
            "stack": np.stack([frame_of(n) for n in (1, 2, 3)]),
            "sum": sum(frame_of(n).astype(int) for n in (1, 2, 3)),
        }[keep]
        assert np.array_equal(pixels, expected)
        path = tmp_path / "bundle.zip"
        path.write_bytes(client.get(f"/jobs/{job_id}/bundle.zip").raise_for_status().content)
        checks = verify(path).checks
        assert [check.problems for check in checks] == [[], [], []]
        record = client.get(f"/jobs/{job_id}/provenance").json()["@graph"]
        (given,) = [each for each in record if each.get("propertyID") == "session"]
        assert json.loads(given["value"]) == told
        closed = put(client, session_id, 9)
        assert (closed.status_code, closed.json()["code"]) == (409, "session_closed")


def test_a_job_of_what_is_there_while_the_session_goes_on(client: httpx.Client) -> None:
    session_id = open_session(client)
    none = client.post(f"/sessions/{session_id}/keep", json={})
    assert (none.status_code, none.json()["code"]) == (409, "no_frame")
    put(client, session_id, 0)
    made = client.post(f"/sessions/{session_id}/keep", json={"keep": "last"})
    assert made.status_code == 202
    assert made.headers["Location"].endswith(made.json()["id"])
    assert put(client, session_id, 1).status_code == 202
    assert client.get(f"/sessions/{session_id}").json()["jobs"] == [made.json()["id"]]


def test_what_is_sent_again_with_its_key_makes_nothing_more(client: httpx.Client) -> None:
    key = {"Idempotency-Key": "one"}
    opened = [client.post("/sessions", json=SPEC, headers=key) for _ in range(2)]
    assert {each.status_code for each in opened} == {201}
    (session_id,) = {each.json()["id"] for each in opened}
    other = client.post("/sessions", json=SPEC | {"history": 1}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    images = len(client.get("/images").json()["images"])
    kept = []
    for frame in range(2):
        put(client, session_id, frame)
        here = f"/sessions/{session_id}/keep"
        kept.append(client.post(here, json={"keep": "last"}, headers=key).json()["id"])
    assert kept[0] == kept[1]
    assert client.get(f"/sessions/{session_id}").json()["jobs"] == kept[:1]
    # Other tests may have kept the same pixels, of which there is one image.
    assert len(client.get("/images").json()["images"]) <= images + 1
    refused = client.post(here, json={"keep": "stack"}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_mismatch")


def test_a_session_that_cannot_end_goes_on(client: httpx.Client) -> None:
    session_id = open_session(client)
    assert client.post(f"/sessions/{session_id}/close", json={}).status_code == 409
    assert put(client, session_id, 0).status_code == 202
    ended = client.post(f"/sessions/{session_id}/close", json={"keep": None})
    assert (ended.status_code, ended.json()["jobs"]) == (200, [])


def test_a_deleted_session_is_gone(client: httpx.Client) -> None:
    session_id = open_session(client)
    assert client.delete(f"/sessions/{session_id}").status_code == 204
    assert client.get(f"/sessions/{session_id}").status_code == 404
    assert put(client, session_id, 0).status_code == 404


def test_pages_of_sessions(client: httpx.Client) -> None:
    made = [open_session(client) for _ in range(3)][::-1]
    query = {"state": "open", "limit": 2}
    first = client.get("/sessions", params=query).json()
    second = client.get("/sessions", params=query | {"cursor": first["next"]}).json()
    assert [each["id"] for each in first["sessions"] + second["sessions"]] == made
    assert second["next"] is None
