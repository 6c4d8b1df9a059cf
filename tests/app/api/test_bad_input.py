"""Bad input: a 422 with the reason; nothing is queued, nothing is left behind."""

import io
import json
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from PIL import Image


def npy(array: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def tiff(array: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def png(mode: str) -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, (32, 32)).save(buffer, format="PNG")
    return buffer.getvalue()


def noise_png() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(256, size=(32, 40), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, format="PNG")
    return buffer.getvalue()


def nan() -> bytes:
    pixels = np.ones((32, 32))
    pixels[3, 4] = np.nan
    return npy(pixels)


GOOD = npy(np.random.default_rng(0).poisson(9, (32, 40)).astype(np.uint16))

FILES: dict[str, tuple[Callable[[], bytes], str, str]] = {
    "empty": (lambda: b"", "empty_file", "0 bytes"),
    "not an image": (lambda: b"dear diary", "unsupported_format", "expected one of TIFF"),
    "truncated TIFF": (
        lambda: tiff(np.ones((64, 64), np.uint16))[:3000],
        "damaged_file",
        "truncated",
    ),
    "TIFF header only": (lambda: b"II*\0", "damaged_file", "TIFF"),
    "RGB TIFF": (
        lambda: tiff(np.ones((32, 32, 3), np.uint8), photometric="rgb"),
        "not_grayscale",
        "RGB",
    ),
    "bilevel TIFF": (
        lambda: tiff(np.ones((32, 32), bool), photometric="minisblack"),
        "not_grayscale",
        "1 bit per pixel",
    ),
    "bilevel PNG": (lambda: png("1"), "not_grayscale", "1 bit per pixel"),
    "array of colours": (lambda: npy(np.ones((32, 40, 3))), "not_grayscale", "(32, 40, 3)"),
    "RGB PNG": (lambda: png("RGB"), "not_grayscale", "RGB"),
    "palette PNG": (lambda: png("P"), "not_grayscale", "mode P"),
    "truncated PNG": (lambda: noise_png()[:600], "damaged_file", "PNG"),
    "truncated NPY": (lambda: GOOD[:200], "damaged_file", "NPY"),
    "pickled NPY": (lambda: npy(np.array([[{}] * 9] * 9)), "invalid_image", "objects"),
    "NaN pixels": (nan, "invalid_image", "1 pixels that are NaN"),
    "infinite pixels": (lambda: npy(np.full((32, 32), np.inf)), "invalid_image", "infinite"),
    "complex": (lambda: npy(np.ones((32, 32), complex)), "invalid_image", "complex128"),
    "four dimensions": (lambda: npy(np.ones((2, 4, 32, 32))), "invalid_image", "(2, 4, 32, 32)"),
    "no pixels": (lambda: npy(np.ones((0, 32))), "invalid_image", "0 x 32"),
    "smaller than the smallest patch": (lambda: npy(np.ones((2, 90))), "invalid_image", "3 x 3"),
}

PARAMS: dict[str, tuple[dict[str, Any], str]] = {
    "even patch size": ({"patch_size": 8}, "params.patch_size"),
    "patch larger than the image": ({"patch_size": 33}, "params.patch_size"),
    "patch size of 1": ({"patch_size": 1}, "params.patch_size"),
    "patch size as text": ({"patch_size": "large"}, "params.patch_size"),
    "too many stacks": ({"patch_size": 5, "stacks": 10**6}, "params.stacks"),
    "too many stacks for any patch": ({"stacks": 10**6}, "params.stacks"),
    "stacks of the exact engine": ({"engine": "exact", "stacks": 4}, "params.stacks"),
    "deadline of the exact engine": (
        {"method": "paper", "engine": "exact", "deadline": 1},
        "params.deadline",
    ),
    "stacks of two scales": ({"method": "two-scale", "stacks": 2}, "params.method"),
    "threshold above 1": ({"threshold": 1.5}, "params.threshold"),
    "negative seed": ({"seed": -1}, "params.seed"),
    "no components": ({"components": 0}, "params.components"),
    "unknown engine": ({"engine": "magic"}, "params.engine"),
    "unknown parameter": ({"patchsize": 5}, "params.patchsize"),
    "memory budget is the server's": ({"memory_budget": 1}, "params.memory_budget"),
}


@pytest.fixture(autouse=True)
def nothing_is_queued(api: httpx.Client) -> Any:
    before = api.get("/jobs").json()
    yield
    assert api.get("/jobs").json() == before


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("route", ["/jobs", "/images"])
def test_bad_file(api: httpx.Client, name: str, route: str) -> None:
    make, code, reason = FILES[name]
    response = api.post(route, files={"file": make()})
    problem = response.json()
    assert (response.status_code, problem["code"]) == (422, code)
    assert reason in problem["detail"]
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("name", PARAMS)
def test_bad_parameter(api: httpx.Client, name: str) -> None:
    params, field = PARAMS[name]
    response = api.post("/jobs", files={"file": GOOD}, data={"params": json.dumps(params)})
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]


def test_refused_file_is_not_kept(api: httpx.Client) -> None:
    fresh = npy(np.random.default_rng(1).poisson(9, (32, 40)))
    refused = api.post(
        "/jobs", files={"file": fresh}, data={"params": json.dumps({"patch_size": 33})}
    )
    assert refused.status_code == 422
    assert api.post("/images", content=fresh).status_code == 201  # not 200: it was not there


@pytest.mark.parametrize(
    ("options", "status", "code"),
    [
        ({"data": {"params": "{}"}, "files": {"other": b"x"}}, 422, "invalid_request"),
        ({"files": {"file": GOOD}, "data": {"params": "{"}}, 422, "invalid_request"),
        ({"files": {"file": GOOD}, "data": {"parms": "{}"}}, 422, "invalid_request"),
        ({"files": [("file", GOOD), ("file", GOOD)]}, 422, "unexpected_file"),
        ({"json": {"image_id": "0" * 32}}, 404, "not_found"),
        ({"json": {"image_id": "../../etc/passwd"}}, 422, "invalid_request"),
        ({"json": {}}, 422, "invalid_request"),
        (
            {"content": b"{", "headers": {"Content-Type": "application/json"}},
            422,
            "invalid_request",
        ),
        (
            {"content": b"x", "headers": {"Content-Type": "text/plain"}},
            415,
            "unsupported_media_type",
        ),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data"}},
            400,
            "malformed_form",
        ),
        (
            {"content": b"x", "headers": {"Content-Type": "multipart/form-data; boundary=b"}},
            400,
            "malformed_form",
        ),
    ],
)
def test_malformed_submission(
    api: httpx.Client, options: dict[str, Any], status: int, code: str
) -> None:
    response = api.post("/jobs", **options)
    assert (response.status_code, response.json()["code"]) == (status, code), response.text


@pytest.mark.parametrize("route", ["/images", "/jobs"])
@pytest.mark.parametrize("name", ["image", "files"])
def test_a_file_in_another_field(api: httpx.Client, route: str, name: str) -> None:
    response = api.post(route, files={name: ("a.png", noise_png())})
    assert response.status_code == 422
    assert "expected the field `file`" in response.json()["detail"]
