"""Images and pictures of them, each by what HTTP says of it."""

import base64
import hashlib
import io
import json
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.api.pictures import block_means
from tests.support.clients import SMALL, problem
from tests.support.inprocess import Api, npy
from worker.ledger.images import Images
from worker.store.names import ORIGINAL, PIXELS


def test_content_is_what_was_sent(client: httpx.Client, done: dict[str, Any]) -> None:
    url = f"/images/{done['image_id']}/content"
    whole = client.get(url)
    assert whole.content == npy(1)
    digest = hashlib.sha256(npy(1))
    assert whole.headers["etag"] == f'"{digest.hexdigest()}"'
    encoded = base64.b64encode(digest.digest()).decode()
    assert whole.headers["repr-digest"] == f"sha-256=:{encoded}:"
    assert "%C3%84%20lattice.npy" in whole.headers["content-disposition"]


def test_a_damaged_image_is_never_served(api: Api, client: httpx.Client) -> None:
    image = client.post("/images", content=npy(9)).json()
    path = api.store.image(image["id"]) / ORIGINAL
    path.write_bytes(npy(9)[:-1] + b"x")
    problem(client.get(f"/images/{image['id']}/content"), 500, "damaged_image")


def test_damaged_pixels_are_never_served_nor_denoised_and_an_upload_heals_them(
    api: Api, client: httpx.Client
) -> None:
    form = {"params": json.dumps(SMALL)}
    job = client.post("/jobs", files={"file": npy(10)}, data=form).json()
    api.work(job["id"])
    path = api.store.image(job["image_id"]) / PIXELS
    good = path.read_bytes()
    wanted = {"image_id": job["image_id"], "params": SMALL}
    for damaged in (good[:-2] + bytes([good[-2] ^ 1]) + good[-1:], None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        side = 16 if damaged is None else 32  # one that was not drawn yet
        problem(client.get(f"/jobs/{job['id']}/residual"), 500, "damaged_image")
        preview = f"/images/{job['image_id']}/preview.png?side={side}"
        problem(client.get(preview), 500, "damaged_image")
        again = client.post("/jobs", json=wanted).json()
        api.work(again["id"])
        ended = client.get(f"/jobs/{again['id']}").json()
        assert (ended["state"], ended["error"]["code"]) == ("failed", "damaged_image")
        sent = client.post("/images", content=npy(10))
        assert (sent.status_code, sent.json()["id"]) == (200, job["image_id"])
        path = api.store.image(Images(api.database).get(job["image_id"]).folder) / PIXELS
        assert path.read_bytes() == good
        assert client.get(preview).status_code == 200
    healed = client.post("/jobs", json=wanted).json()
    api.work(healed["id"])
    results = [client.get(f"/jobs/{each['id']}/result").content for each in (job, healed)]
    assert results[0] == results[1]


@pytest.mark.parametrize(("side", "longest"), [(16, 14), (512, 40)])
def test_preview(client: httpx.Client, done: dict[str, Any], side: int, longest: int) -> None:
    response = client.get(f"/images/{done['image_id']}/preview.png", params={"side": side})
    picture = Image.open(io.BytesIO(response.content))
    assert picture.mode == "L"
    assert max(picture.size) == longest
    assert picture.getextrema() == (0, 255)


@pytest.mark.parametrize("damaged", ["preview-64.png", "preview-64.png.json"])
def test_a_damaged_rendition_is_drawn_again(
    api: Api, client: httpx.Client, done: dict[str, Any], damaged: str
) -> None:
    url = f"/images/{done['image_id']}/preview.png?side=64"
    good = client.get(url)
    path = api.store.renditions_of("images", done["image_id"]) / damaged
    for content in (b"", path.read_bytes()[:-1]):
        path.write_bytes(content)
        again = client.get(url)
        assert (again.content, again.headers["etag"]) == (good.content, good.headers["etag"])


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 12))
def test_block_means_are_means_of_blocks(rows: int, columns: int, step: int) -> None:
    frame = np.arange(rows * columns, dtype=np.uint16).reshape(rows, columns)
    means = block_means(frame, step)
    for i, j in np.ndindex(means.shape):
        block = frame[i * step : (i + 1) * step, j * step : (j + 1) * step]
        assert means[i, j] == pytest.approx(block.mean())


def test_an_image_in_use_is_not_deleted(client: httpx.Client, done: dict[str, Any]) -> None:
    problem(client.delete(f"/images/{done['image_id']}"), 409, "conflict")
    free = client.post("/images", content=npy(2)).json()
    assert client.delete(f"/images/{free['id']}").status_code == 204
    problem(client.get(f"/images/{free['id']}"), 404, "not_found")


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("image/tiff", 201),
        ("application/x-npy", 201),
        ("text/plain", 415),
        ("application/json", 415),
    ],
)
def test_content_type_of_a_raw_upload(client: httpx.Client, media_type: str, status: int) -> None:
    body = npy(100 + len(media_type))
    response = client.post("/images", content=body, headers={"Content-Type": media_type})
    assert response.status_code == status
    if status == 415:
        assert media_type in problem(response, 415, "unsupported_media_type")["detail"]
