"""`reucid serve` on PostgreSQL, from the first request to the result."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.support.postgres import Cluster
from tests.support.servers import served


@pytest.fixture(scope="module")
def on_postgres(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    data = tmp_path_factory.mktemp("data")
    with served(data, REUCID_DATABASE_URL=postgres.create()) as server:
        yield f"{server.url}/v1"


def test_a_job_from_request_to_result(on_postgres: str, tiff: Path) -> None:
    with httpx.Client(base_url=on_postgres, timeout=70) as api:
        fields = {
            "params": json.dumps({"patch_size": 7, "stacks": 2}),
            "labels": json.dumps({'a "b"': "µ"}),
            "metadata": json.dumps({"deep": {"er": [1, None, 2.5]}}),
            "external_id": "x",
        }
        answer = api.post(
            "/jobs",
            files={"file": ("m.tif", tiff.read_bytes())},
            data=fields,
            headers={"Prefer": "wait=60", "Idempotency-Key": "one"},
        )
        job = answer.json()
        assert (answer.status_code, job["state"]) == (200, "succeeded"), job
        assert job["metadata"] == {"deep": {"er": [1, None, 2.5]}}
        again = api.post(
            "/jobs",
            files={"file": ("m.tif", tiff.read_bytes())},
            data=fields,
            headers={"Idempotency-Key": "one"},
        )
        assert again.json()["id"] == job["id"]
        content = api.get(f"/jobs/{job['id']}/result", params={"format": "npy"}).content
        assert content.startswith(b"\x93NUMPY")
        found = api.get("/jobs", params={"label": 'a "b"=µ', "state": "succeeded"}).json()["jobs"]
        assert [each["id"] for each in found] == [job["id"]]
        with api.stream("GET", f"/jobs/{job['id']}/events") as stream:
            kinds = [line[7:] for line in stream.iter_lines() if line.startswith("event: ")]
        assert (kinds[0], kinds[-1]) == ("queued", "succeeded")
        assert api.delete(f"/jobs/{job['id']}").status_code == 204
        assert api.get(f"/jobs/{job['id']}").status_code == 404
        assert api.delete(f"/images/{job['image_id']}").status_code == 204


@pytest.mark.parametrize(
    "fields",
    [
        {"external_id": "a\0b"},
        {"labels": '{"a": "\\u0000"}'},
        {"metadata": '{"a": "\\u0000"}'},
        {"metadata": '{"a": NaN}'},
        {"metadata": '{"a": [-Infinity]}'},
        {"metadata": '{"a": "\\ud800"}'},
    ],
)
def test_what_no_database_can_hold_is_refused(on_postgres: str, fields: dict[str, str]) -> None:
    with httpx.Client(base_url=on_postgres, timeout=70) as api:
        rows, columns = np.mgrid[:32, :32]
        file = _npy((rows * columns).astype(np.uint8))
        answer = api.post("/jobs", files={"file": ("m\0.npy", file)}, data=fields)
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


def test_any_number_may_be_asked_for(on_postgres: str) -> None:
    with httpx.Client(base_url=on_postgres, timeout=70) as api:
        assert api.get("/jobs", params={"external_id": "a\0b"}).status_code in (200, 422)
        assert api.get("/jobs", params={"label": "a\0=b"}).status_code in (200, 422)
        assert api.get("/jobs", params={"cursor": "9" * 18}).status_code == 422
        headers = {"Last-Event-ID": "9" * 30}
        assert api.get(f"/jobs/{'0' * 32}/events", headers=headers).status_code in (404, 422)


def _npy(pixels: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return buffer.getvalue()
