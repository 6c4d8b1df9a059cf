"""Numbers by region and scale, as clients get them."""

import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.clients import problem
from tests.support.inprocess import Api, npy, running
from tests.worker.pyramid.test_pyramid import block_means
from worker.contract import JobRecord, Scope

PARAMS = {"method": "paper", "patch_size": 5, "stacks": 2, "components": 4}
SHAPE = (301, 530)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("raw")) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def submitted(api: Api, file: bytes, **params: Any) -> JobRecord:
    with api.client() as client:
        form = {"params": json.dumps(PARAMS | params)}
        job = client.post("/jobs", files={"file": ("in.npy", file)}, data=form).json()
        return api.jobs.get(job["id"])


@pytest.fixture(scope="module")
def done(api: Api) -> JobRecord:
    job = submitted(api, npy(1, SHAPE))
    api.work(job.id)
    return api.jobs.get(job.id)


@pytest.fixture(scope="module")
def of_stack(api: Api) -> JobRecord:
    job = submitted(api, npy(2, (3, 40, 50)))
    api.work(job.id)
    return api.jobs.get(job.id)


def raw(answer: httpx.Response) -> NDArray[np.float32]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["reucid-dtype"] == "<f4"
    shape = [int(side) for side in answer.headers["reucid-shape"].split(",")]
    return np.frombuffer(answer.content, "<f4").reshape(shape)


def whole(client: httpx.Client, path: str, **query: Any) -> NDArray[Any]:
    answer = client.get(path, params={"format": "npy"} | query)
    assert answer.status_code == 200, answer.text
    return np.asarray(np.load(io.BytesIO(answer.content)))


@pytest.mark.parametrize("part", ["result", "residual", "input"])
@pytest.mark.parametrize("reduce", [1, 4, 128])
def test_a_view_is_what_the_file_says(
    client: httpx.Client, done: JobRecord, part: str, reduce: int
) -> None:
    path = f"/jobs/{done.id}/{part}"
    full = whole(client, path)
    query = {"format": "raw", "region": "17,250,290,519", "reduce": reduce}
    answer = client.get(path, params=query)
    y0, x0, y1, x1 = (int(n) for n in answer.headers["reucid-region"].split(","))
    assert y0 == 17 // reduce * reduce
    assert x0 == 250 // reduce * reduce
    assert (y1, x1) == tuple(
        min(-(-end // reduce) * reduce, side) for end, side in zip((290, 519), SHAPE, strict=True)
    )
    assert answer.headers["reucid-full-shape"] == "301,530"
    assert answer.headers["reucid-reduce"] == str(reduce)
    expected = block_means(full[y0:y1, x0:x1], reduce)
    np.testing.assert_allclose(raw(answer), expected, rtol=1e-6, atol=1e-6)
    if reduce == 1:
        np.testing.assert_array_equal(raw(answer), full[17:290, 250:519])


def test_without_region_and_scale_it_is_all_of_it(client: httpx.Client, done: JobRecord) -> None:
    path = f"/jobs/{done.id}/result"
    got = raw(client.get(path, params={"format": "raw"}))
    np.testing.assert_array_equal(got, whole(client, path))


def test_frames_of_a_stack(client: httpx.Client, of_stack: JobRecord) -> None:
    for part in ("result", "residual", "input"):
        path = f"/jobs/{of_stack.id}/{part}"
        stack = whole(client, path)
        for frame in (None, 0, 2):
            query = {"format": "raw"} | ({} if frame is None else {"frame": frame})
            answer = client.get(path, params=query)
            np.testing.assert_array_equal(raw(answer), stack[frame or 0])
            assert answer.headers["reucid-frame"] == str(frame or 0)
        problem(client.get(path, params={"format": "raw", "frame": 3}), 404, "not_found")


def test_one_frame_of_a_stack_as_a_job(api: Api, client: httpx.Client) -> None:
    stack = np.load(io.BytesIO(npy(4, (3, 40, 50))))
    job = submitted(api, npy(4, (3, 40, 50)), frame=2)
    api.work(job.id)
    got = {
        part: raw(client.get(f"/jobs/{job.id}/{part}", params={"format": "raw"}))
        for part in ("result", "residual", "input")
    }
    np.testing.assert_array_equal(got["input"], stack[2])
    np.testing.assert_array_equal(got["residual"], whole(client, f"/jobs/{job.id}/residual"))
    np.testing.assert_array_equal(whole(client, f"/jobs/{job.id}/input"), stack[2])
    path = f"/jobs/{job.id}/input"
    problem(client.get(path, params={"format": "raw", "frame": 1}), 404, "not_found")


def test_an_interim_result(api: Api, client: httpx.Client) -> None:
    job = submitted(api, npy(3))
    problem(client.get(f"/jobs/{job.id}/interim", params={"format": "raw"}), 409, "not_ready")
    api.work(job.id)
    for part in ("interim", "interim/1"):
        path = f"/jobs/{job.id}/{part}"
        got = raw(client.get(path, params={"format": "raw", "reduce": 2}))
        np.testing.assert_allclose(got, block_means(whole(client, path), 2), rtol=1e-6)


def test_the_input_before_the_job_is_done(api: Api, client: httpx.Client) -> None:
    job = submitted(api, npy(5))
    image = np.load(io.BytesIO(npy(5)))
    got = raw(client.get(f"/jobs/{job.id}/input", params={"format": "raw"}))
    np.testing.assert_array_equal(got, image)
    np.testing.assert_array_equal(whole(client, f"/jobs/{job.id}/input"), image)
    assert client.get(f"/jobs/{job.id}/input", params={"format": "png"}).status_code == 200
    problem(client.get(f"/jobs/{job.id}/result", params={"format": "raw"}), 409, "not_ready")


def test_an_image_before_any_job(client: httpx.Client) -> None:
    stack = np.load(io.BytesIO(npy(6, (3, 40, 50))))
    image = client.post("/images", files={"file": ("in.npy", npy(6, (3, 40, 50)))}).json()
    path = f"/images/{image['id']}/pixels"
    np.testing.assert_array_equal(raw(client.get(path, params={"frame": 2})), stack[2])
    for signal in ("0", image["signals"][0]["title"]):
        got = raw(client.get(path, params={"signal": signal, "region": "10,20,30,50"}))
        np.testing.assert_array_equal(got, stack[0, 10:30, 20:50])
    problem(client.get(path, params={"signal": "1"}), 422, "invalid_request")
    problem(client.get(path, params={"frame": 3}), 404, "not_found")


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"region": "0,0,302,10"}, "301 x 530"),
        ({"region": "10,0,10,10"}, "y0 < y1"),
        ({"region": "20,0,10,10"}, "y0 < y1"),
        ({"region": "0,0,10"}, "query.region"),
        ({"region": "0,0,10,-1"}, "query.region"),
        ({"region": "0,0,10,1e9"}, "query.region"),
        ({"reduce": "3"}, "1, 2, 4, 8, 16, 32, 64, 128"),
        ({"reduce": "256"}, "128"),
        ({"reduce": "0"}, "128"),
        ({"dtype": "source"}, "float32"),
        ({"format": "npy", "reduce": "2"}, "format=raw"),
        ({"format": "png", "region": "0,0,5,5"}, "format=raw"),
    ],
)
def test_what_cannot_be_had(
    client: httpx.Client, done: JobRecord, query: dict[str, str], said: str
) -> None:
    answer = client.get(f"/jobs/{done.id}/result", params={"format": "raw"} | query)
    assert said in problem(answer, 422, "invalid_request")["detail"]


def test_an_answer_is_bounded(client: httpx.Client) -> None:
    rows = np.zeros((3000, 2000), np.uint8)
    rows[::7, ::5] = 9
    file = io.BytesIO()
    np.save(file, rows)
    image = client.post("/images", files={"file": ("in.npy", file.getvalue())}).json()
    path = f"/images/{image['id']}/pixels"
    body = problem(client.get(path), 422, "region_too_large")
    limits = client.get("/capabilities").json()["limits"]
    assert body["limit"]["name"] == "max_raw_pixels"
    assert body["limit"]["value"] == limits["max_raw_pixels"]
    assert body["limit"]["got"] == 6_000_000
    assert raw(client.get(path, params={"reduce": 2})).shape == (1500, 1000)


def test_parts_and_conditions(client: httpx.Client, done: JobRecord) -> None:
    path, query = f"/jobs/{done.id}/result", {"format": "raw", "region": "0,0,64,64"}
    answer = client.get(path, params=query)
    etag, content = answer.headers["etag"], answer.content
    assert len(content) == 4 * 64 * 64

    def ask(**headers: str) -> httpx.Response:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        return client.get(path, params=query, headers=names)

    assert ask(if_none_match=etag).status_code == 304
    for stated, part, told in (
        ("bytes=0-99", slice(0, 100), "0-99"),
        ("bytes=100-", slice(100, None), "100-16383"),
        ("bytes=-4", slice(-4, None), "16380-16383"),
        ("bytes=16000-99999", slice(16000, None), "16000-16383"),
    ):
        got = ask(range=stated)
        assert (got.status_code, got.content) == (206, content[part])
        assert got.headers["content-range"] == f"bytes {told}/16384"
        assert got.headers["etag"] == etag
    for headers in ({"range": "bytes=5-1"}, {"range": "lines=1-2"}, {"range": "bytes=0-1,4-5"}):
        assert ask(**headers).content == content
    assert ask(range="bytes=0-9", if_range='"other"').status_code == 200
    assert ask(range="bytes=0-9", if_range=etag).status_code == 206
    problem(ask(range="bytes=16384-"), 416, "range_not_satisfiable")
    others = [query | {"region": "0,0,64,65"}, query | {"reduce": "2"}]
    assert etag not in [client.get(path, params=other).headers["etag"] for other in others]


def pyramid(api: Api, job: JobRecord, name: str = "result") -> Path:
    return api.store.renditions(job.id) / f"{name}.pyramid"


def test_what_is_damaged_in_the_cache_is_made_anew(
    api: Api, client: httpx.Client, done: JobRecord
) -> None:
    path, query = f"/jobs/{done.id}/result", {"format": "raw", "reduce": 2}
    before = raw(client.get(path, params=query))
    file = pyramid(api, done)
    content = file.read_bytes()
    for damaged in (b"\1" * 99 + content[99:], content[: len(content) // 2], content[:-1] + b"\1"):
        file.write_bytes(damaged)
        np.testing.assert_array_equal(raw(client.get(path, params=query)), before)
    file.unlink()
    np.testing.assert_array_equal(raw(client.get(path, params=query)), before)


@pytest.mark.parametrize(
    ("part", "status", "code"),
    [("result", 500, "damaged_artifact"), ("residual", 500, "damaged_artifact")],
)
def test_a_damaged_artifact_is_not_served(
    api: Api, client: httpx.Client, part: str, status: int, code: str
) -> None:
    job = submitted(api, npy(7))
    api.work(job.id)
    path, query = f"/jobs/{job.id}/{part}", {"format": "raw"}
    raw(client.get(path, params=query))
    artifact = api.store.attempt(job.id, 1) / "result.npy"
    artifact.write_bytes(artifact.read_bytes()[:-1] + b"\7")
    problem(client.get(path, params=query), status, code)


def test_the_cache_counts_it(api: Api, client: httpx.Client, done: JobRecord) -> None:
    raw(client.get(f"/jobs/{done.id}/residual", params={"format": "raw"}))
    assert pyramid(api, done, "residual").stat().st_size > SHAPE[0] * SHAPE[1] / 3
    assert api.store.size_of_renditions([], [done.id]) > SHAPE[0] * SHAPE[1] / 3


def test_another_owners_pixels_are_not_there(tmp_path: Path) -> None:
    with running(tmp_path) as api:
        one = api.client(api.key("one", Scope.SUBMIT, Scope.READ))
        other = api.client(api.key("other", Scope.SUBMIT, Scope.READ))
        form = {"params": json.dumps(PARAMS)}
        job = one.post("/jobs", files={"file": npy(1)}, data=form).json()
        for path in (f"/jobs/{job['id']}/input", f"/images/{job['image_id']}/pixels"):
            raw(one.get(path, params={"format": "raw"}))
            problem(other.get(path, params={"format": "raw"}), 404, "not_found")
        one.close()
        other.close()


def test_expired_results_are_gone(api: Api, client: httpx.Client) -> None:
    job = submitted(api, npy(8))
    api.work(job.id)
    path = f"/jobs/{job.id}/result"
    raw(client.get(path, params={"format": "raw"}))
    expire(api, job.id)
    problem(client.get(path, params={"format": "raw"}), 410, "expired")


def expire(api: Api, job_id: str) -> None:
    from sqlalchemy import update

    from worker.ledger.tables import jobs

    with api.database.writing() as connection:
        connection.execute(
            update(jobs).where(jobs.c.id == job_id).values(expires_at=time.time() - 1)
        )
