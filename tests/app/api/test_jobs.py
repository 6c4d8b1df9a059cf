"""Jobs through the real server, from upload to every kind of result."""

import io
import json
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from reucid_core import DenoiseParams, denoise
from reucid_core.classifier import load_classifier
from tests.support.clients import finished, submit
from tests.support.lattices import PIXEL_SIZE
from worker.denoising.model_files import DEFAULT

PARAMS = {"stacks": 3, "patch_size": 7, "seed": 5}


@pytest.fixture(scope="module")
def done(server: str, tiff: Path) -> dict[str, Any]:
    """One succeeded job of three stacks."""
    with httpx.Client(base_url=f"{server}/v1", timeout=70) as api:
        return finished(
            api, submit(api, tiff, PARAMS, external_id="lims-1", labels='{"a":"b"}')["id"]
        )


def download(api: httpx.Client, job: dict[str, Any], part: str, **query: str) -> httpx.Response:
    response = api.get(f"/jobs/{job['id']}/{part}", params=query)
    assert response.status_code == 200, response.text
    return response


def as_array(response: httpx.Response) -> NDArray[Any]:
    return np.asarray(np.load(io.BytesIO(response.content)))


def test_result_is_what_the_core_computes(
    api: httpx.Client, done: dict[str, Any], micrograph: NDArray[np.uint16]
) -> None:
    expected = denoise(micrograph, DenoiseParams(**PARAMS, threads=1), classify=load_classifier())
    np.testing.assert_allclose(
        as_array(download(api, done, "result", format="npy")), expected.image, rtol=1e-5
    )


def test_result_and_residual_add_up_to_the_input(
    api: httpx.Client, done: dict[str, Any], micrograph: NDArray[np.uint16]
) -> None:
    result = as_array(download(api, done, "result", format="npy"))
    residual = as_array(download(api, done, "residual", format="npy"))
    np.testing.assert_allclose(result + residual, micrograph, rtol=1e-5)


def test_tiff_is_float32_keeps_the_calibration_and_is_imagejs(
    api: httpx.Client, done: dict[str, Any]
) -> None:
    content = download(api, done, "result").content
    with tifffile.TiffFile(io.BytesIO(content)) as file:
        assert file.is_imagej
        assert file.pages.first.dtype == np.float32
        assert file.imagej_metadata is not None
        assert file.imagej_metadata["unit"] == "nm"
        numerator, denominator = file.pages.first.tags["XResolution"].value
        assert denominator / numerator == pytest.approx(PIXEL_SIZE)
        npy = as_array(download(api, done, "result", format="npy"))
        np.testing.assert_array_equal(file.asarray(), npy)


def test_result_in_the_sources_type_is_rounded(api: httpx.Client, done: dict[str, Any]) -> None:
    tiff = download(api, done, "result", dtype="source").content
    exact = as_array(download(api, done, "result", format="npy"))
    rounded = tifffile.imread(io.BytesIO(tiff))
    assert rounded.dtype == np.uint16
    np.testing.assert_array_equal(rounded, np.rint(exact))


def test_format_by_accept_header(api: httpx.Client, done: dict[str, Any]) -> None:
    url = f"/jobs/{done['id']}/result"
    png = api.get(url, headers={"Accept": "image/png"})
    assert png.headers["content-type"] == "image/png"
    assert png.headers["vary"] == "Accept"
    assert Image.open(io.BytesIO(png.content)).size == (96, 80)
    refused = api.get(url, headers={"Accept": "text/html"})
    assert (refused.status_code, refused.json()["code"]) == (406, "not_acceptable")


def test_interims_are_kept_and_the_last_is_the_result(
    api: httpx.Client, done: dict[str, Any]
) -> None:
    interims = [as_array(download(api, done, f"interim/{n}", format="npy")) for n in (1, 2, 3)]
    assert not np.array_equal(interims[0], interims[1])
    np.testing.assert_array_equal(
        interims[2], as_array(download(api, done, "result", format="npy"))
    )
    np.testing.assert_array_equal(
        interims[2], as_array(download(api, done, "interim", format="npy"))
    )
    assert api.get(f"/jobs/{done['id']}/interim/4").status_code == 404


def test_coverage_counts_patches(api: httpx.Client, done: dict[str, Any]) -> None:
    coverage = as_array(download(api, done, "coverage", format="npy"))
    assert coverage[0, 0] == 1
    assert coverage.max() == 7 * 7


def test_a_job_of_one_scale_has_no_map_of_departures(
    api: httpx.Client, done: dict[str, Any]
) -> None:
    response = api.get(f"/jobs/{done['id']}/departures")
    assert response.status_code == 404
    assert "method two-scale makes one" in response.json()["detail"]


def test_departures_are_where_the_report_says(api: httpx.Client, tmp_path: Path) -> None:
    rows, columns = np.mgrid[:96, :112]
    lattice = 40 + 20 * np.cos(2 * np.pi * rows / 9) + 20 * np.cos(2 * np.pi * columns / 11)
    lattice[40:46, 50:56] += 90
    counts = np.random.default_rng(3).poisson(lattice).astype(np.uint16)
    tifffile.imwrite(tmp_path / "lattice.tif", counts)
    job = finished(api, submit(api, tmp_path / "lattice.tif", {"method": "two-scale"})["id"])
    assert job["links"]["departures"].endswith(f"/v1/jobs/{job['id']}/departures")
    mapped = as_array(download(api, job, "departures", format="npy"))
    runs = download(api, job, "report").json()["recovery"]["runs"]
    expected = np.repeat(np.arange(len(runs)) % 2, runs).reshape(counts.shape)
    np.testing.assert_array_equal(mapped, expected)
    assert mapped[40:46, 50:56].any()
    tiff = tifffile.imread(io.BytesIO(download(api, job, "departures", format="tiff").content))
    np.testing.assert_array_equal(tiff, expected)
    picture = Image.open(io.BytesIO(download(api, job, "departures", format="png").content))
    assert picture.size == (112, 96)


def test_the_verdict_is_what_the_report_says(api: httpx.Client, done: dict[str, Any]) -> None:
    report = download(api, done, "report").json()
    verdict = download(api, done, "verdict").json()
    assert verdict["sentences"] == report["verdict"]
    assert any("% of the noise is gone" in text for text in verdict["sentences"])
    assert verdict["suspicious"] == any(text in report["warnings"] for text in report["verdict"])


def test_report_lists_every_offered_eigenpatch(api: httpx.Client, done: dict[str, Any]) -> None:
    report = download(api, done, "report").json()
    assert (report["patch_size"], report["stacks"], report["seed"]) == (7, 3, 5)
    assert report["model"].startswith(f"{DEFAULT}@sha256:")
    lines = (
        api.get(f"/jobs/{done['id']}/report", headers={"Accept": "text/csv"})
        .text.strip()
        .splitlines()
    )
    assert lines[0].startswith("frame,stack,eigenpatch,singular_value")
    assert len(lines) == 1 + 3 * report["components"]


def test_eigenpatches_are_drawn(api: httpx.Client, done: dict[str, Any]) -> None:
    picture = Image.open(io.BytesIO(download(api, done, "eigenpatches.png").content))
    assert picture.width > 500


def test_ranges_and_conditional_requests(api: httpx.Client, done: dict[str, Any]) -> None:
    url = f"/jobs/{done['id']}/result"
    whole = api.get(url)
    part = api.get(url, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    again = api.get(url, headers={"If-None-Match": whole.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_events_are_complete_and_resume_without_a_gap(
    api: httpx.Client, done: dict[str, Any]
) -> None:
    def history(after: int) -> list[tuple[int, str]]:
        with api.stream(
            "GET", f"/jobs/{done['id']}/events", headers={"Last-Event-ID": str(after)}
        ) as response:
            lines = [line.split(": ", 1) for line in response.iter_lines() if ": " in line]
        ids = [int(value) for name, value in lines if name == "id"]
        types = [value for name, value in lines if name == "event"]
        return list(zip(ids, types, strict=True))

    everything = history(0)
    types = [type_ for _, type_ in everything]
    assert types[:2] == ["queued", "started"]
    assert types.count("interim") == 3
    assert types[-1] == "succeeded"
    assert history(everything[3][0]) == everything[4:]


def test_what_the_client_attached_is_echoed_and_found(
    api: httpx.Client, done: dict[str, Any]
) -> None:
    assert (done["external_id"], done["labels"]) == ("lims-1", {"a": "b"})
    for query in ({"external_id": "lims-1"}, {"label": "a=b"}):
        found = api.get("/jobs", params=query).json()["jobs"]
        assert [job["id"] for job in found] == [done["id"]]
    assert api.get("/jobs", params={"external_id": "other"}).json()["jobs"] == []


def test_job_on_an_uploaded_image(api: httpx.Client, tiff: Path) -> None:
    first = api.post("/images", content=tiff.read_bytes())
    image = first.json()
    assert (image["shape"], image["dtype"]) == ([80, 96], "uint16")
    assert (image["pixel_size"], image["unit"]) == ([PIXEL_SIZE, PIXEL_SIZE], "nm")
    again = api.post("/images", files={"file": tiff.read_bytes()})
    assert (again.status_code, again.json()["id"]) == (200, image["id"])
    job = api.post("/jobs", json={"image_id": image["id"], "params": PARAMS}).json()
    finished(api, job["id"])
    assert api.delete(f"/images/{image['id']}").status_code == 409


def test_prefer_wait_answers_when_done(api: httpx.Client, tiff: Path) -> None:
    response = api.post("/jobs", files={"file": tiff.read_bytes()}, headers={"Prefer": "wait=60"})
    assert (response.status_code, response.json()["state"]) == (200, "succeeded")


def test_repeated_submission_with_its_key_makes_one_job(api: httpx.Client, tiff: Path) -> None:
    def post(params: dict[str, int]) -> httpx.Response:
        return api.post(
            "/jobs",
            files={"file": tiff.read_bytes()},
            data={"params": json.dumps(params)},
            headers={"Idempotency-Key": "once"},
        )

    first, again, other = post({"seed": 1}), post({"seed": 1}), post({"seed": 2})
    assert again.json()["id"] == first.json()["id"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    finished(api, first.json()["id"])


def test_an_empty_idempotency_key_is_refused(api: httpx.Client, tiff: Path) -> None:
    response = api.post("/jobs", files={"file": tiff.read_bytes()}, headers={"Idempotency-Key": ""})
    assert response.status_code == 422


def test_a_damaged_rendition_is_made_anew(
    api: httpx.Client, done: dict[str, Any], data: Path
) -> None:
    whole = download(api, done, "result", format="png").content
    (path,) = data.glob(f"jobs/{done['id']}/renditions/result.png")
    path.write_bytes(whole[:-1] + b"x")
    assert download(api, done, "result", format="png").content == whole


def test_a_damaged_result_is_never_served(api: httpx.Client, tiff: Path, data: Path) -> None:
    job = finished(api, submit(api, tiff, PARAMS)["id"])
    (path,) = data.glob(f"jobs/{job['id']}/attempts/1/result.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    response = api.get(f"/jobs/{job['id']}/result")
    assert (response.status_code, response.json()["code"]) == (500, "damaged_artifact")


def test_cancel_finish_retry_delete(api: httpx.Client, tiff: Path) -> None:
    job = submit(api, tiff, {"patch_size": 31, "components": 900, "stacks": 1})
    assert api.post(f"/jobs/{job['id']}/cancel").status_code in (200, 202)
    canceled = api.get(f"/jobs/{job['id']}", params={"wait": 10}).json()
    assert canceled["state"] in ("canceled", "succeeded")
    again = api.post(f"/jobs/{job['id']}/retry")
    assert (again.status_code, again.json()["retry_of"]) == (202, job["id"])
    finished(api, again.json()["id"])
    assert api.post(f"/jobs/{again.json()['id']}/finish").status_code == 200
    assert api.delete(f"/jobs/{again.json()['id']}").status_code == 204
    assert api.get(f"/jobs/{again.json()['id']}").status_code == 404


def test_pages_of_jobs_miss_none(api: httpx.Client, tiff: Path) -> None:
    made = [submit(api, tiff, external_id="page")["id"] for _ in range(3)]
    seen: list[str] = []
    query: dict[str, Any] = {"external_id": "page", "limit": 2}
    while True:
        page = api.get("/jobs", params=query).json()
        seen += [job["id"] for job in page["jobs"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert seen == made[::-1]
    for job_id in made:
        finished(api, job_id)


def test_unchanged_job_is_not_sent_again(api: httpx.Client, done: dict[str, Any]) -> None:
    url = f"/jobs/{done['id']}"
    etag = api.get(url).headers["etag"]
    assert api.get(url, headers={"If-None-Match": etag}).status_code == 304


@pytest.mark.parametrize("part", ["result", "residual", "coverage", "report", "eigenpatches.png"])
def test_what_is_not_there_yet_says_so(api: httpx.Client, tiff: Path, part: str) -> None:
    job = submit(api, tiff, {"patch_size": 31, "components": 900, "stacks": 1})
    response = api.get(f"/jobs/{job['id']}/{part}")
    if response.status_code != 200:  # else the worker was faster than this test
        assert (response.status_code, response.json()["code"]) == (409, "not_ready")
        assert response.headers["retry-after"] == "1"
    api.post(f"/jobs/{job['id']}/cancel")
    ended = api.get(f"/jobs/{job['id']}/{part}")
    if ended.status_code != 200:
        assert ended.json()["code"] == "no_result"


@pytest.mark.parametrize(
    "path", ["/jobs/0", "/jobs/0/result", "/jobs/0/events", "/images/" + "0" * 32]
)
def test_unknown_objects_are_404(api: httpx.Client, path: str) -> None:
    response = api.get(path)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")
