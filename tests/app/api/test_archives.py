"""Files of several jobs in one zip."""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api import archives
from tests.support.clients import problem
from tests.support.inprocess import Api, npy, running
from worker.contract import Scope

PARAMS = json.dumps({"method": "paper", "patch_size": 5, "components": 4})


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("archives")) as api:
        yield api


@pytest.fixture(scope="module")
def key(api: Api) -> str:
    return api.key("lab", Scope.SUBMIT, Scope.READ)


@pytest.fixture
def client(api: Api, key: str) -> Iterator[httpx.Client]:
    with api.client(key) as client:
        yield client


@pytest.fixture(scope="module")
def batch(api: Api, key: str) -> dict[str, str]:
    """Jobs of a batch by what became of them."""
    names = {
        "one": "same.npy",
        "two": "SAME.npy",
        "odd": "=ä|b:c.npy",
        "queued": "later.npy",
        "canceled": "never.npy",
    }
    with api.client(key) as client:
        jobs = {
            which: submitted(client, name, seed, batch="b 1")
            for seed, (which, name) in enumerate(names.items())
        }
        client.post(f"/jobs/{jobs['canceled']}/cancel")
    for which in ("one", "two", "odd"):
        api.work(jobs[which])
    return jobs


def submitted(client: httpx.Client, name: str, seed: int, **fields: str) -> str:
    files = {"file": (name, npy(seed))}
    return str(client.post("/jobs", files=files, data={"params": PARAMS} | fields).json()["id"])


def unpacked(answer: httpx.Response) -> tuple[dict[str, bytes], list[dict[str, Any]]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        files = {name: archive.read(name) for name in archive.namelist()}
    return files, json.loads(files.pop("contents.json"))["jobs"]


def test_a_batch_in_one_file(client: httpx.Client, batch: dict[str, str]) -> None:
    answer = client.get("/jobs/archive", params={"batch": "b 1", "format": "npy"})
    assert answer.headers["content-disposition"] == 'attachment; filename="b_1.zip"'
    files, told = unpacked(answer)
    assert [each["job_id"] for each in told] == list(batch.values())
    assert set(files) == {name for each in told for name in each["files"]}
    by_id = {each["job_id"]: each for each in told}
    assert by_id[batch["one"]]["files"] == ["same.npy", "same-report.json"]
    suffix = batch["two"][:8]
    assert by_id[batch["two"]]["files"] == [f"SAME-{suffix}.npy", f"SAME-{suffix}-report.json"]
    assert by_id[batch["odd"]]["files"][0] == "=ä_b_c.npy"
    for which in ("one", "two", "odd"):
        here = f"/jobs/{batch[which]}"
        result, report = by_id[batch[which]]["files"]
        assert files[result] == client.get(f"{here}/result", params={"format": "npy"}).content
        assert json.loads(files[report]) == client.get(f"{here}/report").json()
        assert by_id[batch[which]]["problem"] is None
    assert by_id[batch["queued"]]["problem"]["code"] == "not_ready"
    assert by_id[batch["canceled"]]["problem"]["code"] == "no_result"


def test_chosen_jobs_and_parts(client: httpx.Client, batch: dict[str, str]) -> None:
    query: list[tuple[str, str]] = [("id", batch["two"]), ("id", batch["one"]), ("id", "0" * 32)]
    query += [("include", part) for part in ("residual", "bundle", "residual")]
    files, told = unpacked(client.get("/jobs/archive", params=query))
    assert [each["job_id"] for each in told] == [batch["two"], batch["one"], "0" * 32]
    assert told[0]["files"] == ["SAME-residual.tif", "SAME-bundle.zip"]
    assert told[2]["problem"]["code"] == "not_found"
    assert zipfile.is_zipfile(io.BytesIO(files["SAME-bundle.zip"]))


def test_what_cannot_be_had(client: httpx.Client, batch: dict[str, str]) -> None:
    problem(client.get("/jobs/archive"), 422, "invalid_request")
    problem(client.get("/jobs/archive", params={"batch": "none"}), 404, "not_found")
    problem(client.get("/jobs/archive", params={"id": "../x"}), 422, "invalid_request")
    for more in ({"include": "all"}, {"format": "raw"}):
        answer = client.get("/jobs/archive", params={"id": batch["one"]} | more)
        problem(answer, 422, "invalid_request")


def test_its_address_is_no_jobs(client: httpx.Client) -> None:
    answer = client.request("PUT", "/jobs/archive")
    assert answer.headers["allow"] == "GET, HEAD"
    allowed = client.request("PUT", f"/jobs/{'0' * 32}").headers["allow"]
    assert allowed == "DELETE, GET, HEAD, PATCH"


def test_another_owners_jobs_are_not_in_it(api: Api, batch: dict[str, str]) -> None:
    with api.client(api.key("other", Scope.READ)) as other:
        problem(other.get("/jobs/archive", params={"batch": "b 1"}), 404, "not_found")
        _, told = unpacked(other.get("/jobs/archive", params={"id": batch["one"]}))
        assert (told[0]["files"], told[0]["problem"]["code"]) == ([], "not_found")


def test_an_archive_is_bounded(
    client: httpx.Client, batch: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.routes.archives.MOST_JOBS", len(batch) - 1)
    body = problem(client.get("/jobs/archive", params={"batch": "b 1"}), 422, "too_many_jobs")
    assert body["limit"]["value"] == len(batch) - 1
    assert client.get("/capabilities").json()["limits"]["max_archived_jobs"] == archives.MOST_JOBS


def test_what_breaks_off_is_no_zip(
    client: httpx.Client, batch: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an archive cannot be taken for a whole one."""

    class Torn(io.FileIO):
        def read(self, _size: int | None = -1, /) -> bytes:
            raise OSError(5, "Input/output error")

    class Place(type(Path())):  # type: ignore[misc]
        def open(self, *_: Any) -> Any:
            return Torn(self) if self.suffix == ".json" else super().open("rb")

    made = archives._path
    monkeypatch.setattr(archives, "_path", lambda *given: Place(made(*given)))
    with pytest.raises(httpx.HTTPError):
        client.get("/jobs/archive", params={"id": batch["one"]})


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "same"}, {"one", "two"}),
        ({"name": "LATER"}, {"queued"}),
        ({"name": "%"}, set()),
        ({"name": "_"}, set()),
        ({"name": "|b"}, {"odd"}),
        ({"name": "npy", "state": "canceled"}, {"canceled"}),
        ({"created_after": "2020-01-01"}, {"one", "two", "odd", "queued", "canceled"}),
        ({"created_before": "2020-01-01T00:00:00+02:00"}, set()),
        ({"created_after": "2999-01-01T00:00:00Z"}, set()),
    ],
)
def test_jobs_are_found_by_name_and_date(
    client: httpx.Client, batch: dict[str, str], query: dict[str, str], found: set[str]
) -> None:
    jobs = client.get("/jobs", params={"batch": "b 1"} | query).json()["jobs"]
    assert {job["id"] for job in jobs} == {batch[which] for which in found}
    assert all(re.search(r"\.npy$", job["image_name"]) for job in jobs)


@pytest.mark.parametrize("stated", ["0.5", "1700000000", "yesterday", "2026-13-01", ""])
def test_a_moment_is_a_date(client: httpx.Client, stated: str) -> None:
    problem(client.get("/jobs", params={"created_after": stated}), 422, "invalid_request")


def test_a_moment_parts_earlier_jobs_from_later_ones(
    client: httpx.Client, batch: dict[str, str]
) -> None:
    moment = client.get(f"/jobs/{batch['odd']}").json()["created_at"]
    before = client.get("/jobs", params={"created_before": moment, "batch": "b 1"}).json()["jobs"]
    after = client.get("/jobs", params={"created_after": moment, "batch": "b 1"}).json()["jobs"]
    assert {job["id"] for job in before} == {batch["one"], batch["two"]}
    assert {job["id"] for job in after} == {batch["odd"], batch["queued"], batch["canceled"]}
