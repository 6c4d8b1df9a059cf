"""What expires goes, with its bytes; what is needed stays; what is gone says since when."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.support.inprocess import Api, npy, running
from worker.contract import Artifact
from worker.ledger.attempt import Attempt
from worker.ledger.retention import Retention
from worker.processes.sweep import Sweeper
from worker.settings import DAY
from worker.store.names import ORIGINAL

PARAMS = {"patch_size": 5, "stacks": 2, "components": 4}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    days = {"result_days": 10, "input_days": 20, "job_days": 40, "rendition_days": 2}
    with running(tmp_path, **days, tombstone_days=50) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def submit(api: Api, client: httpx.Client, seed: int = 1, *, work: bool = True) -> dict[str, Any]:
    form = {"params": json.dumps(PARAMS)}
    job = client.post("/jobs", files={"file": npy(seed)}, data=form).json()
    if work:
        api.work(job["id"])
    return dict(client.get(f"/jobs/{job['id']}").json())


def days_pass(api: Api, days: float) -> None:
    """Everything in ledger and store becomes older; then the sweeper comes."""
    times = {
        "images": ("created_at", "used_at", "expired_at"),
        "jobs": ("created_at", "started_at", "finished_at", "expires_at"),
        "tombstones": ("expired_at",),
    }
    with api.database.writing() as connection:
        for table, columns in times.items():
            changes = ", ".join(f"{name} = {name} - {days * DAY}" for name in columns)
            connection.execute(text(f"UPDATE {table} SET {changes}"))  # noqa: S608
    for path in api.settings.data_dir.rglob("*"):
        if not path.name.startswith("ledger"):
            changed = path.stat().st_mtime - days * DAY
            os.utime(path, (changed, changed))
    Sweeper(api.database, api.store, api.settings).sweep()


def size(api: Api) -> int:
    """Bytes of all files but those of the ledger, and what the store says of itself."""
    return sum(
        path.stat().st_size
        for path in api.settings.data_dir.rglob("*")
        if path.is_file() and not path.name.startswith(("ledger", "identity"))
    )


def expired(response: httpx.Response) -> None:
    problem = response.json()
    assert (response.status_code, problem["code"]) == (410, "expired"), response.text
    assert re.search(r"expired at \d{4}-\d\d-\d\dT", problem["detail"])


def test_results_then_inputs_then_records(api: Api, client: httpx.Client) -> None:
    job = submit(api, client)
    here, image = f"/jobs/{job['id']}", f"/images/{job['image_id']}"
    full = size(api)
    days_pass(api, 9)
    assert client.get(f"{here}/result").status_code == 200
    days_pass(api, 2)
    for part in ("result", "residual", "report", "eigenpatches.png", "interim"):
        expired(client.get(f"{here}/{part}"))
    assert client.get(here).json()["state"] == "succeeded", "the record stays"
    assert client.get(f"{image}/content").status_code == 200
    inputs = size(api)
    assert inputs < full
    days_pass(api, 10)
    expired(client.get(f"{image}/content"))
    expired(client.get(f"{image}/preview.png"))
    assert client.get(image).json()["expired_at"] is not None
    expired(client.post("/jobs", json={"image_id": job["image_id"]}))
    expired(client.post(f"{here}/retry"))
    assert size(api) == 0, "all space is freed"
    assert api.jobs.used("local") == 0
    days_pass(api, 20)
    for path in (here, f"{here}/result", f"{here}/events", image):
        expired(client.get(path))
    assert client.get("/jobs").json()["jobs"] == []
    assert client.get("/images").json()["images"] == []
    assert client.get("/jobs/" + "0" * 32).status_code == 404
    days_pass(api, 49)
    expired(client.get(here))
    days_pass(api, 2)
    for path in (here, f"{here}/result", image):
        assert client.get(path).status_code == 404, "nothing is remembered for ever"


def test_what_a_live_job_needs_stays(api: Api, client: httpx.Client) -> None:
    waiting = submit(api, client, 2, work=False)
    days_pass(api, 100)
    assert client.get(f"/images/{waiting['image_id']}/content").status_code == 200
    api.work(waiting["id"])
    days_pass(api, 5)  # the result lives on, though the input's own time is up
    assert client.get(f"/jobs/{waiting['id']}/residual").status_code == 200
    days_pass(api, 6)
    expired(client.get(f"/jobs/{waiting['id']}/residual"))


def test_using_an_input_again_prolongs_its_life(api: Api, client: httpx.Client) -> None:
    image = client.post("/images", content=npy(3)).json()["id"]
    days_pass(api, 19)
    assert client.post("/images", content=npy(3)).status_code == 200
    days_pass(api, 19)
    assert client.get(f"/images/{image}/content").content == npy(3)


def test_the_same_file_brings_an_expired_input_back(api: Api, client: httpx.Client) -> None:
    job = submit(api, client, 4)
    days_pass(api, 11)
    days_pass(api, 21)
    url = f"/images/{job['image_id']}/content"
    expired(client.get(url))
    back = client.post("/images", content=npy(4))
    assert (back.status_code, back.json()["id"]) == (200, job["image_id"])
    assert client.get(url).content == npy(4)
    assert api.jobs.used("local") == size(api)
    days_pass(api, 1)
    assert client.get(url).status_code == 200
    again = client.post(f"/jobs/{job['id']}/retry").json()
    api.work(again["id"])
    assert client.get(f"/jobs/{again['id']}/residual").status_code == 200


def test_expired_is_the_owners_own_business(api: Api, client: httpx.Client) -> None:
    from worker.contract import Scope

    job = submit(api, client, 5)
    for days in (11, 21, 41):
        days_pass(api, days)
    expired(client.get(f"/jobs/{job['id']}"))
    with api.client(api.key("eve", Scope.READ)) as eve:
        assert eve.get(f"/jobs/{job['id']}").status_code == 404
        assert eve.get(f"/images/{job['image_id']}").status_code == 404


def test_replaced_attempts_and_unwanted_renditions_go(api: Api, client: httpx.Client) -> None:
    job = submit(api, client, 6, work=False)
    lost = Attempt(api.database, job["id"], 1, "worker")
    assert lost.claim(60)
    (api.store.attempt(job["id"], 1) / "result.npy").write_bytes(bytes(10_000))
    assert lost.hand_back()
    second = Attempt(api.database, job["id"], 2, "worker")
    assert second.claim(60)
    folder = api.store.attempt(job["id"], 2)
    (folder / "result.npy").write_bytes(b"x")
    assert second.commit([Artifact("result.npy", "0" * 64, 1)], expires_in_s=30 * DAY)
    assert client.get(f"/images/{job['image_id']}/preview.png").status_code == 200
    renditions = api.store.renditions_of("images", job["image_id"])
    days_pass(api, 1)
    assert [path.name for path in folder.parent.iterdir()] == ["2"]
    assert (folder / "result.npy").exists()
    assert client.get(f"/images/{job['image_id']}/preview.png").status_code == 200, "asked for"
    days_pass(api, 1.5)
    assert len(list(renditions.iterdir())) == 2
    days_pass(api, 1.5)
    assert list(renditions.iterdir()) == []
    assert client.get(f"/images/{job['image_id']}/preview.png").status_code == 200, "made anew"


def test_a_crash_between_mark_and_removal_is_made_good(api: Api, client: httpx.Client) -> None:
    image = client.post("/images", content=npy(7)).json()["id"]

    def crash(_: str) -> None:
        raise OSError("power cut")

    retention = Retention(api.database)
    retention.expire_images(unused_s=-1)
    with pytest.raises(OSError, match="power cut"):
        retention.purge_images(crash)
    expired(client.get(f"/images/{image}/content"))
    days_pass(api, 1)
    assert size(api) == 0


def test_files_are_deleted_while_others_may_write(api: Api, client: httpx.Client) -> None:
    """The same file may even come back between the moment it is given up and its deletion."""
    image = client.post("/images", content=npy(8)).json()["id"]
    retention = Retention(api.database)
    assert retention.expire_images(unused_s=-1) == 1

    def remove(folder: str) -> None:
        assert (api.store.image(folder) / ORIGINAL).read_bytes() == npy(8), "not yet deleted"
        back = client.post("/images", content=npy(8))
        assert (back.status_code, back.json()["id"]) == (200, image)
        api.store.remove_image(folder)

    assert retention.purge_images(remove) == 1
    Sweeper(api.database, api.store, api.settings).sweep()
    assert api.store.trash() == []
    assert client.get(f"/images/{image}/content").content == npy(8)
    assert api.jobs.used("local") == size(api)


def test_a_file_that_comes_back_before_the_old_one_is_put_away_stays(
    api: Api, client: httpx.Client
) -> None:
    image = client.post("/images", content=npy(9)).json()["id"]
    Retention(api.database).expire_images(unused_s=-1)
    assert client.post("/images", content=npy(9)).json()["id"] == image
    assert api.store.trash() == []
    Sweeper(api.database, api.store, api.settings).sweep()
    assert client.get(f"/images/{image}/content").content == npy(9)


def test_files_whose_removal_a_power_cut_undid_go_later(api: Api, client: httpx.Client) -> None:
    """The ledger is synced to disk, the move into the trash perhaps not."""
    job = submit(api, client, 10)
    days_pass(api, 11)
    days_pass(api, 21)
    remains = (
        api.store.image(job["image_id"]) / ORIGINAL,
        api.store.attempt(job["id"], 1) / "result.npy",
    )
    for path in remains:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    days_pass(api, 1)
    assert size(api) == 0
