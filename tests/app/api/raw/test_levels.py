"""Levels that are written with a large image and its result: what they answer, and how they go."""

import io
import json
import math
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from app.api.raw import views
from tests.app.api.raw.test_raw import raw, whole
from tests.support.inprocess import Api, running
from tests.worker.pyramid.test_pyramid import block_means
from worker.contract import JobRecord
from worker.ledger.images import Images
from worker.pyramid import layout
from worker.pyramid.layout import LADDER

SHAPE = (301, 530)
PARAMS = {"method": "paper", "patch_size": 5, "stacks": 2, "components": 4}
VIEWS = ("result", "residual", "input")
OF_JOB = {"result.levels", "result.tiles", "residual.levels", "residual.tiles"}


@pytest.fixture(scope="module", autouse=True)
def large() -> Iterator[None]:
    """The threshold, lowered so that tests need no large image."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(layout, "LARGE", math.prod(SHAPE) - 1)
        yield


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with running(tmp_path_factory.mktemp("levels")) as api:
        yield api


@pytest.fixture
def client(api: Api) -> Iterator[httpx.Client]:
    with api.client() as client:
        yield client


def counts(seed: int, shape: tuple[int, ...] = SHAPE) -> bytes:
    file = io.BytesIO()
    np.save(file, np.random.default_rng(seed).poisson(30, shape).astype(np.uint16))
    return file.getvalue()


def done(api: Api, file: bytes) -> JobRecord:
    with api.client() as client:
        form = {"params": json.dumps(PARAMS)}
        job = client.post("/jobs", files={"file": ("in.npy", file)}, data=form).json()
    api.work(job["id"])
    return api.jobs.get(job["id"])


@pytest.fixture(scope="module")
def job(api: Api) -> JobRecord:
    return done(api, counts(1))


@pytest.fixture
def no_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may be drawn: what is asked for has to be there."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("drawn, though there are levels")

    monkeypatch.setattr(views, "draw_apart", refuse)


@pytest.mark.usefixtures("no_drawing")
@pytest.mark.parametrize("reduce", LADDER)
@pytest.mark.parametrize("part", VIEWS)
def test_the_first_look_is_read_and_is_the_mean_of_the_file(
    client: httpx.Client, job: JobRecord, part: str, reduce: int
) -> None:
    got = raw(client.get(f"/jobs/{job.id}/{part}", params={"format": "raw", "reduce": reduce}))
    full = whole(client, f"/jobs/{job.id}/{part}")
    np.testing.assert_allclose(got, block_means(full, reduce), rtol=1e-6, atol=1e-6)


@pytest.mark.usefixtures("no_drawing")
def test_a_stack_has_them_frame_by_frame(api: Api, client: httpx.Client) -> None:
    stack = np.load(io.BytesIO(counts(2, (3, 260, 250))))
    job = done(api, counts(2, (3, 260, 250)))
    for part in VIEWS:
        query: dict[str, Any] = {"format": "raw", "reduce": 4, "frame": 2}
        got = raw(client.get(f"/jobs/{job.id}/{part}", params=query))
        full: NDArray[Any] = whole(client, f"/jobs/{job.id}/{part}")[2]
        np.testing.assert_allclose(got, block_means(full, 4), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(full, stack[2])


def test_they_are_vouched_for_and_counted(api: Api, job: JobRecord) -> None:
    sizes = {each.name: each.size for each in job.artifacts}
    assert set(sizes) > OF_JOB
    assert sizes["result.levels"] < 4 * math.prod(SHAPE) / 11
    image = Images(api.database).get(job.request.image_id, owner=job.request.owner)
    (reduced,) = image.contents.reduced
    assert reduced is not None
    used = api.jobs.used(job.request.owner)
    held = sum(path.stat().st_size for path in api.store.pixels(image).parent.glob("pixels*"))
    assert used >= held + sum(sizes.values())


def test_a_small_image_has_none(api: Api, client: httpx.Client) -> None:
    job = done(api, counts(3, (90, 100)))
    assert not OF_JOB & {each.name for each in job.artifacts}
    image = Images(api.database).get(job.request.image_id, owner=job.request.owner)
    assert image.contents.reduced == ()
    query: dict[str, Any] = {"format": "raw", "reduce": 4}
    for part in VIEWS:
        assert raw(client.get(f"/jobs/{job.id}/{part}", params=query)).shape == (23, 25)


@pytest.mark.parametrize("hurt", ["flipped", "gone"])
@pytest.mark.parametrize("which", ["levels", "tiles"])
@pytest.mark.parametrize("part", VIEWS)
def test_what_is_damaged_is_made_anew_of_what_is_not(
    api: Api, client: httpx.Client, part: str, which: str, hurt: str
) -> None:
    job = done(api, counts(4))
    query: dict[str, Any] = {"format": "raw", "reduce": 8}
    before = raw(client.get(f"/jobs/{job.id}/{part}", params=query))
    if part == "input":
        image = Images(api.database).get(job.request.image_id, owner=job.request.owner)
        path = api.store.pixels(image).with_suffix(f".{which}")
    else:
        path = api.store.attempt(job.id, 1) / f"{part}.{which}"
    content = bytearray(path.read_bytes())
    for place in range(0, len(content), 99):
        content[place] ^= 1
    if hurt == "gone":
        path.unlink()
    else:
        path.write_bytes(content)
    got = raw(client.get(f"/jobs/{job.id}/{part}", params=query))
    np.testing.assert_array_equal(got, before)
    path.write_bytes(bytes(content))


@pytest.mark.usefixtures("no_drawing")
def test_a_coarse_look_reads_no_large_file(
    api: Api, client: httpx.Client, job: JobRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store in a bucket would have to fetch it first."""
    found = []
    artifact = type(api.store).artifact

    def noted(store: Any, job: JobRecord, name: str) -> Path:
        found.append(name)
        return artifact(store, job, name)

    monkeypatch.setattr(type(api.store), "artifact", noted)
    for part in ("result", "residual"):
        query: dict[str, Any] = {"format": "raw", "reduce": 16}
        raw(client.get(f"/jobs/{job.id}/{part}", params=query))
    assert set(found) == OF_JOB


def test_they_go_with_their_job_and_are_not_in_its_bundle(
    api: Api, client: httpx.Client, tmp_path: Path
) -> None:
    job = done(api, counts(5))
    path = tmp_path / "bundle.zip"
    path.write_bytes(client.get(f"/jobs/{job.id}/bundle.zip").content)
    with zipfile.ZipFile(path) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".levels", ".tiles"))]
    folder = api.store.attempt(job.id, 1)
    assert client.delete(f"/jobs/{job.id}").status_code in (200, 202, 204)
    api.store.remove_job(job.id)
    assert not folder.exists()


@pytest.mark.usefixtures("no_drawing")
def test_a_revision_has_its_own(api: Api, client: httpx.Client) -> None:
    job = done(api, counts(6))
    revised = client.post(f"/jobs/{job.id}/revise", json={"drop": {"1": [2]}}).json()
    api.work(revised["id"])
    query: dict[str, Any] = {"format": "raw", "reduce": 4}
    path = f"/jobs/{revised['id']}/result"
    got = raw(client.get(path, params=query))
    np.testing.assert_allclose(got, block_means(whole(client, path), 4), rtol=1e-6)


@pytest.mark.parametrize("shape", [SHAPE, (2, 400, 500)])
@pytest.mark.parametrize("side", [16, 64, 128])
def test_a_preview_is_drawn_of_the_levels_and_looks_the_same(
    api: Api, client: httpx.Client, side: int, shape: tuple[int, ...]
) -> None:
    image = client.post("/images", files={"file": ("in.npy", counts(side, shape))}).json()
    path = f"/images/{image['id']}/preview.png"
    record = Images(api.database).get(image["id"])
    pixels = api.store.pixels(record)
    hidden = pixels.with_suffix(".hidden")
    pixels.rename(hidden)  # it is not looked at
    small = client.get(path, params={"side": side})
    hidden.rename(pixels)
    assert small.status_code == 200, small.text
    with Image.open(io.BytesIO(small.content)) as read:
        of_levels = np.asarray(read).astype(int)
    assert side / 2 < max(of_levels.shape) <= side

    for rendition in api.store.image_renditions(record).iterdir():
        rendition.unlink()
    levels = pixels.with_suffix(".levels")
    levels.write_bytes(levels.read_bytes()[:-1] + b"\7")  # damaged: the pixels are looked at
    with Image.open(io.BytesIO(client.get(path, params={"side": side}).content)) as read:
        np.testing.assert_allclose(of_levels, np.asarray(read).astype(int), atol=1)
