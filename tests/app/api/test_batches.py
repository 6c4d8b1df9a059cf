"""Many images denoised alike, and what jobs are called."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.support.clients import problem
from tests.support.inprocess import Api, npy, running
from worker.contract import Scope

PARAMS = {"method": "paper", "patch_size": 5, "components": 4}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("batches"), max_queued_per_owner=20) as api:
        yield api


@pytest.fixture(scope="module")
def key(api: Api) -> str:
    return api.key("lab", Scope.SUBMIT, Scope.READ)


@pytest.fixture
def client(api: Api, key: str) -> Iterator[httpx.Client]:
    with api.client(key) as client:
        yield client
        client.post("/batches/b/cancel")


@pytest.fixture(scope="module")
def images(api: Api, key: str) -> list[str]:
    with api.client(key) as client:
        return [uploaded(client, f"=image {seed}.npy", seed) for seed in range(3)]


def uploaded(client: httpx.Client, name: str, seed: int) -> str:
    return str(client.post("/images", files={"file": (name, npy(seed))}).json()["id"])


def submitted(client: httpx.Client, images: list[str], **fields: Any) -> httpx.Response:
    headers = {"Idempotency-Key": fields.pop("key")} if "key" in fields else {}
    body = {"image_ids": images, "params": PARAMS} | fields
    return client.post("/batches", json=body, headers=headers)


def jobs_of(client: httpx.Client, batch: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/jobs", params={"batch": batch}).json()["jobs"]
    return found[::-1]


def test_from_images_to_a_summary(api: Api, client: httpx.Client, images: list[str]) -> None:
    name = "Nb:STO, 7% #1"
    labels = {"instrument": "STEM 2"}
    answer = submitted(client, images, name=name, labels=labels, sample_id="S1")
    assert answer.status_code == 202
    batch = answer.json()
    assert batch["counts"] == {
        "queued": 3,
        "running": 0,
        "succeeded": 0,
        "failed": 0,
        "canceled": 0,
    }
    assert (batch["total"], batch["progress"], batch["finished_at"]) == (3, 0, None)
    jobs = jobs_of(client, name)
    assert [job["image_id"] for job in jobs] == images
    assert {job["priority"] for job in jobs} == {"batch"}
    assert all(job["labels"] == labels and job["sample_id"] == "S1" for job in jobs)
    api.work(jobs[0]["id"])
    root = httpx.URL(api.url)
    assert answer.headers["location"] == batch["links"]["self"]
    seen = client.get(root.join(batch["links"]["self"])).json()
    assert (seen["counts"]["succeeded"], seen["finished_at"]) == (1, None)
    assert seen["progress"] == pytest.approx(1 / 3)
    ended = client.post(root.join(batch["links"]["cancel"]))
    assert (ended.status_code, ended.json()["counts"]["canceled"]) == (202, 2)
    assert ended.json()["finished_at"] is not None
    assert ended.json()["progress"] == 1
    again = client.post(root.join(batch["links"]["cancel"]))
    assert (again.status_code, again.json()["counts"]["succeeded"]) == (200, 1)

    table = client.get(root.join(batch["links"]["summary"]))
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["file"] for row in rows] == [f"'=image {n}.npy" for n in range(3)]
    assert [row["state"] for row in rows] == ["succeeded", "canceled", "canceled"]
    report = client.get(f"/jobs/{jobs[0]['id']}/report").json()
    assert rows[0]["patch_size"] == "5" == str(report["patch_size"])
    assert rows[0]["verdict"] == " ".join(report["verdict"])
    assert rows[1]["verdict"] == rows[1]["error"] == ""
    assert client.get(root.join(batch["links"]["archive"])).status_code == 200


def test_a_job_on_its_way_counts_in_part(api: Api, client: httpx.Client, images: list[str]) -> None:
    submitted(client, images[:2], name="b")
    job_id = jobs_of(client, "b")[0]["id"]
    with api.database.writing() as connection:
        connection.exec_driver_sql(
            "UPDATE jobs SET state = 'running', stacks = 4, stacks_done = 1 WHERE id = ?", (job_id,)
        )
    assert client.get("/batches/b").json()["progress"] == pytest.approx(1 / 8)


def test_all_or_none(client: httpx.Client, images: list[str]) -> None:
    for wrong in ("0" * 32, images[0][::-1]):
        body = problem(submitted(client, [*images, wrong], name="none"), 404, "not_found")
        assert body["detail"].startswith(f"image_ids.3 ({wrong})")
    for fields in ({"params": {"signal": 1}}, {"params": {"frame": 3}}):
        body = problem(submitted(client, images, name="none", **fields), 422, "invalid_request")
        assert body["detail"].startswith("image_ids.0")
    problem(submitted(client, images * 7, name="none"), 422, "invalid_request")
    problem(client.get("/batches/none"), 404, "not_found")


def test_what_does_not_fit_the_queue_is_not_begun(client: httpx.Client, images: list[str]) -> None:
    more = images + [uploaded(client, "more.npy", seed) for seed in range(10, 28)]
    problem(submitted(client, more, name="many"), 429, "queue_full")
    problem(client.get("/batches/many"), 404, "not_found")
    assert submitted(client, images, name="b").status_code == 202


def test_repeated_with_its_key(client: httpx.Client, images: list[str]) -> None:
    first = submitted(client, images, key="k1")
    assert submitted(client, images, key="k1").json() == first.json()
    name = first.json()["name"]
    assert len(jobs_of(client, name)) == len(images)
    problem(submitted(client, images[:2], key="k1"), 422, "idempotency_mismatch")
    client.post(f"/batches/{name}/cancel")


@pytest.mark.parametrize("name", ["a/b", ".", "..", "", "x\0", "x" * 201])
def test_names_that_are_no_part_of_an_address(
    client: httpx.Client, images: list[str], name: str
) -> None:
    problem(submitted(client, images, name=name), 422, "invalid_request")
    body = {"image_id": images[0], "batch": name}
    problem(client.post("/jobs", json=body), 422, "invalid_request")


@pytest.mark.parametrize("image_ids", [[], ["x"], ["0" * 32] * 2, ["0" * 32] * 501, "all", None])
def test_images_that_are_none(client: httpx.Client, image_ids: Any) -> None:
    problem(client.post("/batches", json={"image_ids": image_ids}), 422, "invalid_request")


def test_others_see_nothing_of_it(api: Api, client: httpx.Client, images: list[str]) -> None:
    submitted(client, images, name="b")
    with api.client(api.key("other", Scope.SUBMIT, Scope.READ)) as other:
        assert other.get("/batches").json()["batches"] == []
        for method, path in (
            ("GET", "/batches/b"),
            ("GET", "/batches/b/summary.csv"),
            ("POST", "/batches/b/cancel"),
        ):
            problem(other.request(method, path), 404, "not_found")
        problem(submitted(other, images, name="b"), 404, "not_found")
    assert client.get("/batches/b").json()["counts"]["queued"] == len(images)
    with api.client(api.key("lab", Scope.READ)) as reader:
        problem(submitted(reader, images), 403, "missing_scope")
        problem(reader.post("/batches/b/cancel"), 403, "missing_scope")


def test_listed_newest_first_page_by_page(api: Api) -> None:
    with api.client(api.key("lister", Scope.SUBMIT, Scope.READ)) as client:
        image = uploaded(client, "one.npy", 77)
        for name in ("a", "b", "c", "a"):
            assert submitted(client, [image], name=name).status_code == 202
        first = client.get("/batches", params={"limit": 2}).json()
        assert [batch["name"] for batch in first["batches"]] == ["a", "c"]
        assert first["batches"][0]["total"] == 2
        rest = client.get("/batches", params={"cursor": first["next"]}).json()
        assert ([batch["name"] for batch in rest["batches"]], rest["next"]) == (["b"], None)


def test_what_a_job_is_called_can_be_changed(client: httpx.Client, images: list[str]) -> None:
    spec = {"image_id": images[0], "labels": {"a": "1", "b": "2"}, "external_id": "X"}
    job = client.post("/jobs", json=spec).json()
    here = f"/jobs/{job['id']}"
    change = {"labels": {"a": None, "b": "3", "c": "4"}, "sample_id": "S9", "batch": "renamed"}
    changed = client.patch(here, json=change).json()
    assert changed["labels"] == {"b": "3", "c": "4"}
    assert (changed["sample_id"], changed["batch"]) == ("S9", "renamed")
    assert changed["external_id"] == "X"
    assert client.get(here).json()["labels"] == changed["labels"]
    for query, found in (
        ([("label", "b=3"), ("label", "c=4")], 1),
        ([("label", "b=3"), ("label", "c=5")], 0),
        ([("label", "b=3"), ("sample_id", "S9"), ("external_id", "X")], 1),
        ([("label", "a=1")], 0),
        ([("sample_id", "S9"), ("batch", "b")], 0),
    ):
        assert len(client.get("/jobs", params=query).json()["jobs"]) == found, query
    nothing = client.patch(here, json={"external_id": None, "batch": None}).json()
    assert (nothing["external_id"], nothing["batch"], nothing["sample_id"]) == (None, None, "S9")
    assert client.patch(here, json={}).json() == nothing
    client.post(f"{here}/cancel")


def test_changes_that_are_refused(api: Api, client: httpx.Client, images: list[str]) -> None:
    job = client.post("/jobs", json={"image_id": images[0], "labels": {"a": "1"}}).json()
    here = f"/jobs/{job['id']}"
    for wrong in (
        {"state": "succeeded"},
        {"labels": {"x": 1}},
        {"labels": {str(n): "x" for n in range(32)}},
        {"batch": "a/b"},
        {"sample_id": "x\0"},
    ):
        problem(client.patch(here, json=wrong), 422, "invalid_request")
    assert client.get(here).json()["labels"] == {"a": "1"}
    with api.client(api.key("other", Scope.SUBMIT, Scope.READ)) as other:
        problem(other.patch(here, json={"labels": {"a": "2"}}), 404, "not_found")
    with api.client(api.key("lab", Scope.READ)) as reader:
        problem(reader.patch(here, json={"labels": {"a": "2"}}), 403, "missing_scope")
    client.post(f"{here}/cancel")
