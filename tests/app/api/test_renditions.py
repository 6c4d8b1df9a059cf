"""Renditions: drawn once, from what was checked then, for as long as their owner is there."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from app.http.files import send_file
from tests.support.inprocess import Api, npy, running
from worker.contract import JobRecord
from worker.store import sha256_of, write_atomic

PARAMS = {"patch_size": 5, "stacks": 2, "components": 4}
PARTS = [
    "result",
    "result?format=hspy",
    "residual?format=mrc",
    "coverage?format=npy",
    "interim?format=npy",
    "eigenpatches.png",
    "eigenpatches/1/2.png",
    "provenance",
    "bundle.zip",
]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("renditions")) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


@pytest.fixture(scope="module")
def done(api: Api) -> JobRecord:
    with api.client() as client:
        return api.jobs.get(worked(api, client))


def worked(api: Api, client: httpx.Client) -> str:
    form = {"params": json.dumps(PARAMS)}
    job = client.post("/jobs", files={"file": npy(1)}, data=form).json()
    api.work(job["id"])
    return str(job["id"])


def problem(response: httpx.Response, status: int, code: str) -> None:
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of files as their bytes are checked."""
    names: list[str] = []

    def recording(*paths: Path) -> str:
        names.extend(path.name for path in paths)
        return sha256_of(*paths)

    for module in ("app.api.cache", "worker.store", "worker.bundles.bundle"):
        monkeypatch.setattr(f"{module}.sha256_of", recording)
    return names


@pytest.mark.parametrize("part", [*PARTS, "preview.png"])
def test_a_second_look_checks_what_was_drawn_and_nothing_else(
    client: httpx.Client, done: JobRecord, hashed: list[str], part: str
) -> None:
    here = f"/images/{done.request.image_id}" if part == "preview.png" else f"/jobs/{done.id}"
    first = client.get(f"{here}/{part}")
    assert first.status_code == 200
    assert hashed
    hashed.clear()
    assert client.get(f"{here}/{part}").content == first.content
    assert len(hashed) == 1
    assert hashed[0] in first.headers["content-disposition"]


@pytest.mark.parametrize("part", PARTS)
def test_what_was_drawn_from_intact_files_outlasts_their_damage(
    api: Api, client: httpx.Client, part: str
) -> None:
    job = api.jobs.get(worked(api, client))
    good = client.get(f"/jobs/{job.id}/{part}").content
    for path in api.store.attempt(job.id, job.attempt).iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert client.get(f"/jobs/{job.id}/{part}").content == good
    for path in api.store.renditions(job.id).iterdir():
        path.unlink()
    problem(client.get(f"/jobs/{job.id}/{part}"), 500, "damaged_artifact")


Removal = Callable[[Callable[[], None], str], list[Path]]


@pytest.fixture
def removing(monkeypatch: pytest.MonkeyPatch) -> Removal:
    """Makes a removal meet a rendition: before it is drawn, when it is, or before it is sent."""
    drawn: list[Path] = []

    def arrange(remove: Callable[[], None], when: str) -> list[Path]:
        @contextmanager
        def drawing(path: Path) -> Iterator[Path]:
            first = not drawn
            drawn.append(path)
            if first and when == "before":
                remove()
            with write_atomic(path) as temporary:
                yield temporary
                if first and when == "drawn":
                    remove()

        def sending(*given: Any, **more: Any) -> Response:
            if when == "sent":
                remove()
            return send_file(*given, **more)

        monkeypatch.setattr("app.api.cache.write_atomic", drawing)
        monkeypatch.setattr("app.api.cache.send_file", sending)
        return drawn

    return arrange


@pytest.mark.parametrize("when", ["before", "drawn", "sent"])
@pytest.mark.parametrize("part", PARTS)
def test_a_job_deleted_while_its_rendition_is_drawn_is_not_found(
    api: Api,
    client: httpx.Client,
    removing: Removal,
    part: str,
    when: str,
) -> None:
    job_id = worked(api, client)

    def remove() -> None:
        with api.client() as other:
            assert other.delete(f"/jobs/{job_id}").status_code == 204

    drawn = removing(remove, when)
    problem(client.get(f"/jobs/{job_id}/{part}"), 404, "not_found")
    assert drawn


@pytest.mark.parametrize("when", ["before", "drawn"])
def test_a_job_that_expires_while_its_rendition_is_drawn_says_so(
    api: Api,
    client: httpx.Client,
    removing: Removal,
    when: str,
) -> None:
    job_id = worked(api, client)

    def remove() -> None:
        with api.database.engine.begin() as connection:
            expired = f"UPDATE jobs SET expires_at = 1 WHERE id = '{job_id}'"  # noqa: S608
            connection.exec_driver_sql(expired)
        api.store.remove_job(job_id)

    drawn = removing(remove, when)
    problem(client.get(f"/jobs/{job_id}/result"), 410, "expired")
    assert drawn


@pytest.mark.parametrize("when", ["before", "drawn", "sent"])
def test_an_image_deleted_while_its_preview_is_drawn_is_not_found(
    api: Api,
    client: httpx.Client,
    removing: Removal,
    when: str,
) -> None:
    image = client.post("/images", content=npy(70 + len(when))).json()

    def remove() -> None:
        with api.client() as other:
            assert other.delete(f"/images/{image['id']}").status_code == 204

    drawn = removing(remove, when)
    problem(client.get(f"/images/{image['id']}/preview.png"), 404, "not_found")
    assert drawn
