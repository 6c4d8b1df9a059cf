"""The whole way of an image where the store is a bucket and every machine has a disk of its own."""

import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.buckets import CREDENTIALS, SECRET, S3Server
from tests.support.inprocess import Api, npy, running
from worker.bundles.verification import verify
from worker.contract import State
from worker.processes import patience
from worker.processes.sweep import Sweeper
from worker.store import Store
from worker.store.bucket import BucketStore

PARAMS = {"patch_size": 5, "stacks": 2, "components": 4}


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory, s3: S3Server) -> Iterator[tuple[Api, Api]]:
    """Two machines that share a ledger and a bucket, and no folder."""
    folder = tmp_path_factory.mktemp("machines")
    shared = {
        "store_url": s3.url(s3.bucket()),
        "database_url": f"sqlite:///{folder / 'ledger' / 'ledger.sqlite'}",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with running(folder / "a", **shared) as a, running(folder / "b", **shared) as b:
            yield a, b


def submit(api: Api, seed: int) -> dict[str, Any]:
    with api.client() as client:
        form = {"params": json.dumps(PARAMS)}
        answer = client.post("/jobs", files={"file": npy(seed)}, data=form)
        assert answer.status_code == 202, answer.text
        job: dict[str, Any] = answer.json()
        return job


def objects(store: Store, prefix: str) -> list[str]:
    assert isinstance(store, BucketStore)
    return [each.key for each in store._objects.listed(prefix)]


def test_one_machine_takes_what_another_denoises(machines: tuple[Api, Api], tmp_path: Path) -> None:
    a, b = machines
    job = submit(a, 1)
    b.work(job["id"])
    for api in (a, b):
        with api.client() as client:
            result = client.get(f"/jobs/{job['id']}/result?format=npy")
            assert result.status_code == 200, result.text
            assert np.load(io.BytesIO(result.content)).shape == (32, 40)
            part = client.get(
                f"/jobs/{job['id']}/result?format=npy", headers={"Range": "bytes=100-199"}
            )
            assert (part.status_code, part.content) == (206, result.content[100:200])
            sent = client.get(f"/images/{job['image_id']}/content")
            assert sent.content == npy(1)
            assert client.get(f"/jobs/{job['id']}/result?format=raw").status_code == 200
            assert client.get(f"/jobs/{job['id']}/interim?format=npy").status_code == 200
            bundle = client.get(f"/jobs/{job['id']}/bundle.zip")
            (tmp_path / "bundle.zip").write_bytes(bundle.content)
            assert verify(tmp_path / "bundle.zip", rerun=False).verified
            assert client.get("/readyz").json()["status"] != "down"
    with a.client() as client:
        again = client.post("/images", content=npy(1))
        assert (again.status_code, again.json()["id"]) == (200, job["image_id"])
    assert list((b.settings.data_dir / "attempts").iterdir()) == [], "nothing is left behind"
    assert list((a.settings.data_dir / "uploads").iterdir()) == []


def test_what_is_deleted_leaves_the_bucket(machines: tuple[Api, Api]) -> None:
    a, b = machines
    job = submit(a, 2)
    b.work(job["id"])
    assert objects(a.store, f"jobs/{job['id']}/")
    with b.client() as client:
        assert client.delete(f"/jobs/{job['id']}").status_code == 204
        assert client.delete(f"/images/{job['image_id']}").status_code == 204
    assert objects(a.store, f"jobs/{job['id']}/") == []
    assert objects(a.store, f"images/{job['image_id']}/") == []
    with a.client() as client:
        assert client.get(f"/jobs/{job['id']}/result").status_code == 404


def test_what_was_changed_in_the_bucket_is_never_served(
    machines: tuple[Api, Api], s3: S3Server
) -> None:
    a, b = machines
    job = submit(a, 3)
    b.work(job["id"])
    store = a.store
    assert isinstance(store, BucketStore)
    key = f"jobs/{job['id']}/attempts/1/result.npy"
    s3.client.put_object(Bucket=store._bucket.name, Key=f"reucid/{key}", Body=b"changed")
    with a.client() as client:
        answer = client.get(f"/jobs/{job['id']}/result?format=npy")
        assert (answer.status_code, answer.json()["code"]) == (500, "damaged_artifact")
    store._objects.delete(objects(store, f"images/{job['image_id']}/"))
    with b.client() as client:
        back = client.post("/images", content=npy(3))
        assert (back.status_code, back.json()["id"]) == (200, job["image_id"]), "sent again"
    again = a.jobs.get(job["id"])
    image = a.services.images.get(again.request.image_id)
    assert hashlib.sha256(npy(3)).hexdigest() == image.sha256
    assert a.store.is_intact(image)


def test_the_sweeper_spares_what_the_ledger_knows(machines: tuple[Api, Api]) -> None:
    a, b = machines
    job = submit(a, 4)
    b.work(job["id"])
    before = objects(a.store, "")
    Sweeper(a.database, a.store, a.settings).sweep()
    assert objects(a.store, "") == before


def test_without_the_store_nothing_is_accepted_and_nothing_lost(
    machines: tuple[Api, Api], s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = machines
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff._MAX_BACKOFF", 0.1)
    monkeypatch.setattr(patience, "PATIENCE", 0.0)
    job = submit(a, 5)
    s3.stop()
    try:
        with a.client() as client:
            answer = client.post("/images", content=npy(6))
            assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
            assert int(answer.headers["Retry-After"]) > 0
            assert SECRET not in answer.text
            assert s3.endpoint not in answer.text
            assert client.get("/readyz").status_code == 503
        b.work(job["id"])
        waiting = b.jobs.get(job["id"])
        assert (waiting.state, waiting.attempt) == (State.QUEUED, 2), "handed back, not failed"
    finally:
        s3.start()
    with a.client() as client:
        assert client.post("/images", content=npy(6)).status_code == 201
    b.work(job["id"], 2)
    assert b.jobs.get(job["id"]).state is State.SUCCEEDED
