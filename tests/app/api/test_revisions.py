"""A person's verdicts on eigenpatches: looked at, made a job, and verified."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.app.api.raw.test_raw import expire
from tests.support.bundles import verdicts
from tests.support.clients import problem
from tests.support.inprocess import Api, npy, running
from worker.bundles.verification import verify
from worker.contract import JobRecord, Scope

PARAMS: dict[str, dict[str, Any]] = {
    "exact": {"method": "paper", "patch_size": 5},
    "stacked": {"method": "paper", "patch_size": 5, "stacks": 2, "components": 6},
    "stopped": {"method": "paper", "patch_size": 5, "stacks": 3, "deadline": 0.0},
    "two scales": {"method": "two-scale"},
    "frames": {"method": "paper", "patch_size": 5},
    "joint": {"method": "paper", "patch_size": 5, "frames": "joint"},
    "one frame": {"method": "paper", "patch_size": 5, "frame": 1},
}
OF_STACKS = ("frames", "joint", "one frame")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("revisions")) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


@pytest.fixture(scope="module")
def jobs(api: Api) -> dict[str, JobRecord]:
    """A job of each kind, done."""
    return {name: done(api, name) for name in PARAMS}


def done(api: Api, name: str) -> JobRecord:
    file = lattice((2, 60, 64)) if name in OF_STACKS else lattice((90, 96))
    with api.client() as client:
        form = {"params": json.dumps(PARAMS[name]), "external_id": "LIMS-1", "batch": "b"}
        job = client.post("/jobs", files={"file": ("in.npy", file)}, data=form).json()
    api.work(job["id"])
    record = api.jobs.get(job["id"])
    assert record.state == "succeeded", record.failure
    return record


def lattice(shape: tuple[int, ...]) -> bytes:
    rng = np.random.default_rng(5)
    y, x = np.mgrid[: shape[-2], : shape[-1]]
    atoms = (1 + np.cos(2 * np.pi * x / 12)) * (1 + np.cos(2 * np.pi * y / 11))
    file = io.BytesIO()
    np.save(file, rng.poisson(30 * atoms + 40, shape).astype(np.uint16))
    return file.getvalue()


def report(client: httpx.Client, job_id: str) -> dict[str, Any]:
    return dict(client.get(f"/jobs/{job_id}/report").json())


def image(client: httpx.Client, job_id: str, part: str = "result") -> NDArray[Any]:
    answer = client.get(f"/jobs/{job_id}/{part}", params={"format": "npy"})
    return np.asarray(np.load(io.BytesIO(answer.content)))


def last_kept(told: dict[str, Any], frame: int = 0) -> int:
    """From 1, the last eigenpatch of the first stack that is kept, of several."""
    first = told.get("frame_reports", [told])[frame]["stack_reports"][0]
    kept = [k for k, each in enumerate(first["kept"], start=1) if each]
    assert len(kept) > 1
    return kept[-1]


def revised(api: Api, client: httpx.Client, job_id: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = client.post(f"/jobs/{job_id}/revise", json=body)
    assert answer.status_code == 202, answer.text
    new = answer.json()
    assert answer.headers["location"] == f"/v1/jobs/{new['id']}"
    api.work(new["id"])
    job = dict(client.get(f"/jobs/{new['id']}").json())
    assert job["state"] == "succeeded", job
    return job


@pytest.mark.parametrize("name", PARAMS)
def test_without_a_change_the_result_is_the_same_to_the_bit(
    api: Api, client: httpx.Client, jobs: dict[str, JobRecord], name: str
) -> None:
    job = jobs[name]
    for body in ({}, {"keep": {"1": [1]}}):
        new = revised(api, client, job.id, body)
        for part in ("result", "coverage"):
            before, after = (image(client, each, part) for each in (job.id, new["id"]))
            assert before.dtype == after.dtype
            np.testing.assert_array_equal(before, after)
    told = report(client, new["id"])
    first = told.get("frame_reports", [told])[0]["stack_reports"][0]
    assert first["judged_by"][0] == "person"
    assert set(first["judged_by"][1:]) == {"classifier"}


@pytest.mark.parametrize("name", PARAMS)
def test_a_verdict_makes_another_result_that_verifies(
    api: Api, client: httpx.Client, jobs: dict[str, JobRecord], name: str, tmp_path: Path
) -> None:
    job = jobs[name]
    body = {"drop": {"1": [last_kept(report(client, job.id))]}}
    path, query = f"/jobs/{job.id}/revise/preview", {"format": "raw"}
    preview = client.post(path, json=body, params=query)
    assert preview.status_code == 200, preview.text
    new = revised(api, client, job.id, body)

    made = image(client, new["id"])
    seen = np.frombuffer(preview.content, "<f4").reshape(made.shape[-2:])
    first = made[0] if made.ndim == 3 else made
    np.testing.assert_allclose(seen, first, rtol=1e-5)
    assert not np.array_equal(made, image(client, job.id))
    if name == "frames":
        np.testing.assert_array_equal(made[1], image(client, job.id)[1])
    assert (new["revision_of"], new["retry_of"]) == (job.id, None)
    assert (new["external_id"], new["batch"]) == ("LIMS-1", "b")
    told = report(client, new["id"])
    assert told["parameters"]["revision"]["drop"] == body["drop"]
    assert "a person decided to keep 0 and to leave out 1 of" in " ".join(told["warnings"])
    assert "person" in client.get(f"/jobs/{new['id']}/report", headers=CSV).text
    bundle = tmp_path / "bundle.zip"
    bundle.write_bytes(client.get(f"/jobs/{new['id']}/bundle.zip").content)
    found = verify(bundle)
    assert set(verdicts(found).values()) == {True}, found
    assert f"left out {body['drop']['1'][0]}" in found.checks[-1].remarks[0]
    record = client.get(f"/jobs/{new['id']}/provenance").json()["@graph"]
    (people,) = [each for each in record if each["@id"].endswith("judged-by-a-person")]
    assert "left out" in people["value"]


CSV = {"Accept": "text/csv"}


def test_a_revision_can_be_revised_and_taken_back(
    api: Api, client: httpx.Client, jobs: dict[str, JobRecord]
) -> None:
    job = jobs["two scales"]
    k = last_kept(report(client, job.id))
    dropped = revised(api, client, job.id, {"drop": {"1": [k]}})
    kept = revised(api, client, dropped["id"], {"keep": {"1": [k]}, "drop": {"2": [2]}})
    told = report(client, kept["id"])
    assert told["stack_reports"][0]["judged_by"][k - 1] == "person"
    assert told["recovery"]["stack_report"]["judged_by"][1] == "person"
    assert kept["revision_of"] == dropped["id"]
    back = revised(api, client, kept["id"], {"keep": {"2": [2]}})
    np.testing.assert_allclose(image(client, back["id"]), image(client, job.id), rtol=1e-5)


def test_one_frame_of_several_is_judged(
    api: Api, client: httpx.Client, jobs: dict[str, JobRecord]
) -> None:
    job = jobs["frames"]
    k = last_kept(report(client, job.id), frame=1)
    new = revised(api, client, job.id, {"drop": {"1": [k]}, "frame": 1})
    before, after = image(client, job.id), image(client, new["id"])
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[1], after[1])
    answer = client.post(f"/jobs/{job.id}/revise", json={"frame": 2})
    problem(answer, 422, "invalid_request")


def test_a_preview_of_a_part(client: httpx.Client, jobs: dict[str, JobRecord]) -> None:
    path, body = f"/jobs/{jobs['exact'].id}/revise/preview", {"keep": {"1": [9]}}
    whole = client.post(path, json=body)
    assert whole.headers["reucid-shape"] == whole.headers["reucid-full-shape"] == "90,96"
    full = np.frombuffer(whole.content, "<f4").reshape(90, 96)
    part = client.post(path, json=body, params={"region": "9,10,50,96", "reduce": 4})
    assert part.headers["reucid-region"] == "8,8,52,96"
    assert part.headers["reucid-shape"] == "11,22"
    means = full[8:52, 8:96].astype(float).reshape(11, 4, 22, 4).mean((1, 3))
    np.testing.assert_allclose(np.frombuffer(part.content, "<f4").reshape(11, 22), means, rtol=1e-6)
    kept = client.post(path, json={})
    assert kept.content != whole.content


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"keep": {"1": [26]}}, "body.keep"),
        ({"keep": {"1": [0]}}, "body.keep"),
        ({"keep": {"2": [1]}}, "body.keep"),
        ({"keep": {"0": [1]}}, "body.keep"),
        ({"keep": {"one": [1]}}, "body.keep"),
        ({"keep": [1]}, "body.keep"),
        ({"drop": {"1": list(range(1, 26))}}, "body.drop"),
        ({"keep": {"1": [2]}, "drop": {"1": [2]}}, "body.drop"),
        ({"frame": 1}, "body.frame"),
        ({"kept": {}}, "body.kept"),
    ],
)
@pytest.mark.parametrize("path", ["revise", "revise/preview"])
def test_what_cannot_be_judged(
    client: httpx.Client, jobs: dict[str, JobRecord], path: str, body: Any, said: str
) -> None:
    answer = client.post(f"/jobs/{jobs['exact'].id}/{path}", json=body)
    errors = problem(answer, 422, "invalid_request")["errors"]
    assert all(error["field"].startswith(said) for error in errors), errors


def test_a_repeated_revision_is_one_job(client: httpx.Client, jobs: dict[str, JobRecord]) -> None:
    path, key = f"/jobs/{jobs['exact'].id}/revise", {"Idempotency-Key": "twice"}
    one, two = (
        client.post(path, json={"drop": {"1": [2]}}, headers=key).json()["id"] for _ in range(2)
    )
    assert one == two
    other = client.post(path, json={"drop": {"1": [3]}}, headers=key)
    problem(other, 422, "idempotency_mismatch")


def test_only_a_result_can_be_revised(client: httpx.Client) -> None:
    job = client.post("/jobs", files={"file": npy(1)}).json()
    for path in ("revise", "revise/preview"):
        problem(client.post(f"/jobs/{job['id']}/{path}", json={}), 409, "not_ready")
    client.post(f"/jobs/{job['id']}/cancel")
    problem(client.post(f"/jobs/{job['id']}/revise", json={}), 409, "no_result")


def test_a_source_that_goes_meanwhile_fails_the_revision_in_words(
    api: Api, client: httpx.Client
) -> None:
    source = done(api, "exact")
    waiting = [client.post(f"/jobs/{source.id}/revise", json={}).json() for _ in range(3)]
    expire(api, source.id)
    problem(client.post(f"/jobs/{source.id}/revise", json={}), 410, "expired")
    api.work(waiting[0]["id"])  # its files are still there
    assert client.get(f"/jobs/{waiting[0]['id']}").json()["state"] == "succeeded"
    file = api.store.attempt(source.id, 1) / "eigenpatches.npz"
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    assert failed(api, client, waiting[1]["id"]) == "damaged_artifact"
    client.delete(f"/jobs/{source.id}")
    assert failed(api, client, waiting[2]["id"]) == "source_gone"


def failed(api: Api, client: httpx.Client, job_id: str) -> str:
    api.work(job_id)
    job = client.get(f"/jobs/{job_id}").json()
    assert job["state"] == "failed"
    return str(job["error"]["code"])


def test_eigenpatches_as_numbers(
    client: httpx.Client, api: Api, jobs: dict[str, JobRecord]
) -> None:
    job = jobs["two scales"]
    with np.load(api.store.attempt(job.id, 1) / "eigenpatches.npz") as held:
        for stack in (1, 2):
            answer = client.get(f"/jobs/{job.id}/eigenpatches", params={"stack": stack})
            shape = [int(n) for n in answer.headers["reucid-shape"].split(",")]
            got = np.frombuffer(answer.content, "<f4").reshape(shape)
            np.testing.assert_array_equal(got, held[f"stack{stack}"].astype(np.float32))
            assert client.get(f"/jobs/{job.id}/eigenpatches/{stack}/1.png").status_code == 200
    missing = client.get(f"/jobs/{job.id}/eigenpatches", params={"stack": 3})
    problem(missing, 404, "not_found")
    assert client.get(f"/jobs/{job.id}/eigenpatches.png").status_code == 200


def test_scopes_and_owners(tmp_path: Path) -> None:
    with running(tmp_path) as api:
        with api.client(api.key("one", Scope.SUBMIT, Scope.READ)) as one:
            form = {"params": json.dumps(PARAMS["exact"])}
            job = one.post("/jobs", files={"file": ("in.npy", lattice((60, 64)))}, data=form).json()
            api.work(job["id"])
            path = f"/jobs/{job['id']}/revise"
            new = one.post(path, json={}).json()
        with api.client(api.key("one", Scope.READ)) as reader:
            assert reader.post(f"{path}/preview", json={}).status_code == 200
            problem(reader.post(path, json={}), 403, "missing_scope")
        with api.client(api.key("other", Scope.SUBMIT, Scope.READ)) as other:
            problem(other.post(path, json={}), 404, "not_found")
            problem(other.post(f"{path}/preview", json={}), 404, "not_found")
        with api.client(api.key("boss", Scope.ADMIN)) as admin:
            again = admin.post(path, json={}).json()
        assert new["owner"] == again["owner"] == "one"
