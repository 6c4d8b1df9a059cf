"""Files of several signals and frames through the real server."""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import mrcfile
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image
from rsciio.hspy import file_reader as read_hspy

from reucid_core import DenoiseParams, denoise, denoise_frames
from reucid_core.classifier import load_classifier
from tests.support import files
from tests.support.commands import reucid
from worker.formats import FORMATS

PARAMS = {"patch_size": 7, "components": 20}


@pytest.fixture(scope="module")
def frames(micrograph: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Four frames of the micrograph."""
    noise = np.random.default_rng(3).poisson(30, (4, *micrograph.shape))
    return (micrograph + noise).astype(np.uint16)


@pytest.fixture(scope="module")
def velox(frames: NDArray[np.uint16], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image of a bright field, four of HAADF."""
    path = tmp_path_factory.mktemp("velox") / "detectors.emd"
    files.write_velox(path, ("BF", frames[0]), ("HAADF", frames))
    return path


def run(
    api: httpx.Client, paths: Sequence[Path], params: dict[str, Any] | None = None
) -> dict[str, Any]:
    sent = [("file", (path.name, path.read_bytes())) for path in paths]
    data = {"params": json.dumps(PARAMS | (params or {}))}
    response = api.post("/jobs", files=sent, data=data)
    assert response.status_code == 202, response.text
    job = api.get(f"/jobs/{response.json()['id']}", params={"wait": 60}).json()
    assert job["state"] == "succeeded", job
    return dict(job)


def npy(api: httpx.Client, job: dict[str, Any], part: str, **query: Any) -> NDArray[Any]:
    response = api.get(f"/jobs/{job['id']}/{part}", params={"format": "npy"} | query)
    assert response.status_code == 200, response.text
    return np.asarray(np.load(io.BytesIO(response.content)))


@pytest.fixture(scope="module")
def done(server: str, velox: Path) -> dict[str, Any]:
    """The default signal, all frames, each by itself."""
    with httpx.Client(base_url=f"{server}/v1", timeout=70) as api:
        return run(api, [velox])


def test_every_signal_is_listed(api: httpx.Client, velox: Path) -> None:
    image = api.post("/images", content=velox.read_bytes()).json()
    listed = [(s["title"], s["shape"], s["frames"], s["detector"]) for s in image["signals"]]
    assert listed == [("BF", [80, 96], 1, "BF"), ("HAADF", [4, 80, 96], 4, "HAADF")]
    assert (image["format"], image["default_signal"], image["shape"]) == ("velox", 1, [4, 80, 96])
    first = image["signals"][0]
    assert (first["beam_energy"], first["dwell_time"]) == (300.0, 2e-5)
    assert first["dose"] == pytest.approx(62415, rel=1e-4)
    assert first["metadata"]["BinaryResult"]["Detector"] == "BF"


def test_each_frame_is_denoised_in_one_job(
    api: httpx.Client, done: dict[str, Any], frames: NDArray[np.uint16]
) -> None:
    result = npy(api, done, "result")
    params = DenoiseParams(**PARAMS, threads=1)
    for frame, image in zip(frames, result, strict=True):
        alone = denoise(frame, params, classify=load_classifier())
        np.testing.assert_allclose(image, alone.image, rtol=1e-5)
    residual = npy(api, done, "residual")
    np.testing.assert_allclose(result + residual, frames, rtol=1e-5)
    assert npy(api, done, "coverage").shape == (4, 80, 96)
    assert (done["stacks_done"], done["stacks"], done["progress"]) == (4, 4, 1.0)


def test_each_finished_frame_is_an_interim_result(api: httpx.Client, done: dict[str, Any]) -> None:
    result = npy(api, done, "result")
    for n in range(1, 5):
        np.testing.assert_array_equal(npy(api, done, f"interim/{n}"), result[n - 1])
    assert api.get(f"/jobs/{done['id']}/interim/5").status_code == 404


def test_report_has_one_for_each_frame(api: httpx.Client, done: dict[str, Any]) -> None:
    report = api.get(f"/jobs/{done['id']}/report").json()
    assert report["input"] == {
        "signal": 1,
        "signal_origin": "default",
        "title": "HAADF",
        "frame": None,
    }
    assert (report["frames"], report["frames_done"], report["complete"]) == ("each", 4, True)
    assert [each["frame"] for each in report["frame_reports"]] == [0, 1, 2, 3]
    lines = api.get(f"/jobs/{done['id']}/report", headers={"Accept": "text/csv"}).text.split()
    assert {line.split(",")[0] for line in lines[1:]} == {"0", "1", "2", "3"}
    assert len(lines) == 1 + 4 * PARAMS["components"]


def test_eigenpatches_of_each_frame(api: httpx.Client, done: dict[str, Any]) -> None:
    url = f"/jobs/{done['id']}/eigenpatches.png"
    pictures = [api.get(url, params={"frame": frame}).content for frame in (0, 3)]
    assert pictures[0] != pictures[1]
    assert api.get(url).content == pictures[0]
    assert api.get(url, params={"frame": 4}).status_code == 404


def test_jointly(api: httpx.Client, velox: Path, frames: NDArray[np.uint16]) -> None:
    job = run(api, [velox], {"frames": "joint"})
    params = DenoiseParams(**PARAMS, threads=1)
    expected = denoise_frames(frames, params, classify=load_classifier(), joint=True)
    for image, result in zip(npy(api, job, "result"), expected, strict=True):
        np.testing.assert_allclose(image, result.image, rtol=1e-5)
    report = api.get(f"/jobs/{job['id']}/report").json()
    assert len({json.dumps(r["stack_reports"]) for r in report["frame_reports"]}) == 1
    url = f"/jobs/{job['id']}/eigenpatches.png"
    assert api.get(url, params={"frame": 3}).content == api.get(url).content
    url = f"/jobs/{job['id']}/eigenpatches/1/1.png"
    assert api.get(url, params={"frame": 3}).content == api.get(url).content
    assert api.get(url, params={"frame": 4}).status_code == 404


@pytest.mark.parametrize(
    ("params", "shape"),
    [
        ({"signal": "BF"}, (80, 96)),
        ({"signal": 0}, (80, 96)),
        ({"signal": 1, "frame": 2}, (80, 96)),
        ({"frame": 2, "stacks": 2}, (80, 96)),
    ],
)
def test_signal_and_frame_are_chosen(
    api: httpx.Client,
    velox: Path,
    frames: NDArray[np.uint16],
    params: dict[str, Any],
    shape: tuple[int, ...],
) -> None:
    job = run(api, [velox], params)
    result, residual = npy(api, job, "result"), npy(api, job, "residual")
    assert result.shape == shape
    source = frames[params.get("frame", 0)]
    np.testing.assert_allclose(result + residual, source, rtol=1e-5)
    assert job["params"]["frame"] == params.get("frame")


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"signal": 2}, "params.signal"),
        ({"signal": "DF4"}, "params.signal"),
        ({"frame": 4}, "params.frame"),
        ({"signal": "BF", "frame": 1}, "params.frame"),
        ({"frames": "joint", "stacks": 2}, "params.frames"),
        ({"frames": "some"}, "params.frames"),
    ],
)
def test_what_the_file_does_not_have(
    api: httpx.Client, velox: Path, params: dict[str, Any], field: str
) -> None:
    response = api.post(
        "/jobs", files={"file": velox.read_bytes()}, data={"params": json.dumps(params)}
    )
    assert response.status_code == 422
    assert [error["field"] for error in response.json()["errors"]] == [field]
    image_id = api.post("/images", content=velox.read_bytes()).json()["id"]
    again = api.post("/jobs", json={"image_id": image_id, "params": params})
    assert [error["field"] for error in again.json()["errors"]] == [field]


def test_a_job_that_is_finished_early_keeps_the_raw_frames(
    api: httpx.Client, tmp_path: Path, micrograph: NDArray[np.uint16]
) -> None:
    stack = np.tile(micrograph, (60, 4, 4))
    np.save(tmp_path / "long.npy", stack)
    sent = {"file": (tmp_path / "long.npy").read_bytes()}
    job_id = api.post("/jobs", files=sent, data={"params": json.dumps(PARAMS)}).json()["id"]
    while api.get(f"/jobs/{job_id}").json()["stacks_done"] < 1:
        api.get(f"/jobs/{job_id}", params={"wait": 0.1})
    api.post(f"/jobs/{job_id}/finish")
    job = api.get(f"/jobs/{job_id}", params={"wait": 60}).json()
    assert job["state"] == "succeeded"
    report = api.get(f"/jobs/{job_id}/report").json()
    done = report["frames_done"]
    assert 1 <= done < 60, "not a long job"
    assert (report["stopped_by"], report["complete"]) == ("request", False)
    result, coverage = npy(api, job, "result"), npy(api, job, "coverage")
    np.testing.assert_array_equal(result[done:], stack[done:])
    assert (coverage[done:] == 0).all()
    assert (coverage[:done] > 0).all()


def test_emi_with_its_series(api: httpx.Client, tmp_path: Path, frames: NDArray[np.uint16]) -> None:
    files.write_emi(tmp_path / "a.emi")
    files.write_ser(tmp_path / "a_1.ser", frames)
    job = run(api, [tmp_path / "a_1.ser", tmp_path / "a.emi"])  # in any order
    image = api.get(f"/images/{job['image_id']}").json()
    assert (image["name"], image["format"], image["shape"]) == ("a.emi", "emi", [4, 80, 96])
    assert image["signals"][0]["beam_energy"] == 80.0
    content = api.get(f"/images/{job['image_id']}/content")
    assert content.content == (tmp_path / "a.emi").read_bytes()
    assert content.headers["etag"] == f'"{hashlib.sha256(content.content).hexdigest()}"'
    assert npy(api, job, "result").shape == (4, 80, 96)
    alone = api.post("/images", files={"file": (tmp_path / "a.emi").read_bytes()})
    assert (alone.status_code, alone.json()["code"]) == (422, "incomplete")


def test_stacks_in_every_format(api: httpx.Client, done: dict[str, Any], tmp_path: Path) -> None:
    result = npy(api, done, "result")

    def download(format_: str, **query: Any) -> Path:
        response = api.get(f"/jobs/{done['id']}/result", params={"format": format_} | query)
        assert response.status_code == 200, response.text
        path = tmp_path / "file"
        path.write_bytes(response.content)
        return path

    with tifffile.TiffFile(download("tiff")) as file:
        assert file.is_ome
        np.testing.assert_array_equal(file.asarray(), result)
    with mrcfile.open(download("mrc")) as file:
        np.testing.assert_array_equal(file.data, result)
    (signal,) = read_hspy(str(download("hspy")))
    np.testing.assert_array_equal(signal["data"], result)
    assert [axis["units"] for axis in signal["axes"]] == ["s", "pm", "pm"]
    with tifffile.TiffFile(download("tiff", frame=2)) as file:
        assert file.is_imagej
        np.testing.assert_array_equal(file.asarray(), result[2])
    assert api.get(f"/jobs/{done['id']}/result", params={"frame": 4}).status_code == 404


def test_pictures_as_wished(api: httpx.Client, done: dict[str, Any]) -> None:
    def picture(**query: Any) -> Image.Image:
        url = f"/jobs/{done['id']}/result"
        response = api.get(url, params={"format": "png"} | query)
        assert response.status_code == 200, response.text
        return Image.open(io.BytesIO(response.content))

    assert picture().mode == "L"
    assert picture(colormap="viridis").mode == "RGB"
    assert picture(scalebar=True).height > 80
    assert picture(percentiles="5,60").tobytes() != picture().tobytes()
    assert picture(frame=3).tobytes() != picture(frame=0).tobytes()
    for wrong in ({"colormap": "jet"}, {"percentiles": "5,101"}, {"percentiles": "..,1"}):
        url = f"/jobs/{done['id']}/result"
        assert api.get(url, params={"format": "png"} | wrong).status_code == 422


def test_clipped_pixels_are_counted(api: httpx.Client, tmp_path: Path) -> None:
    noisy = np.random.default_rng(5).choice([0, 255], (64, 64), p=[0.3, 0.7]).astype(np.uint8)
    np.save(tmp_path / "a.npy", noisy)
    job = run(api, [tmp_path / "a.npy"], {"patch_size": 5, "threshold": 0.0})
    exact = np.rint(npy(api, job, "result"))
    response = api.get(f"/jobs/{job['id']}/result", params={"dtype": "source", "format": "npy"})
    rounded = np.load(io.BytesIO(response.content))
    np.testing.assert_array_equal(rounded, np.clip(exact, 0, 255))
    out = int(((exact < 0) | (exact > 255)).sum())
    assert response.headers["reucid-clipped-pixels"] == str(out)


def test_metadata_is_beside_the_result(api: httpx.Client, done: dict[str, Any]) -> None:
    stated = api.get(f"/jobs/{done['id']}/metadata").json()
    assert (stated["title"], stated["beam_energy"]) == ("HAADF", 300.0)
    assert stated["metadata"]["Optics"]["AccelerationVoltage"] == "300000"


def test_capabilities(api: httpx.Client) -> None:
    found = api.get("/capabilities").json()
    assert [each["name"] for each in found["formats"]] == [each.name for each in FORMATS]
    assert found["params"]["patch_size"]["default"] is None
    assert found["params"]["frames"]["enum"] == ["each", "joint"]
    assert found["limits"]["max_pixels"] == 2**28
    assert found["limits"]["max_upload"] == 2**31
    assert found["limits"]["rate_limit"] == "3000/minute"
    assert "owner_quota" not in found["limits"], "not set"


def test_the_limit_is_named_in_the_problem(api: httpx.Client) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((5000, 3, 3), np.uint8))
    problem = api.post("/images", content=buffer.getvalue()).json()
    assert problem["limit"] == {"name": "max_frames", "value": 4096, "got": 5000}


# --- the command line ---


def test_inspect_as_json(velox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reucid("inspect", velox, "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [signal["title"] for signal in listed["signals"]] == ["BF", "HAADF"]
    assert reucid("inspect", velox) == 0
    table = capsys.readouterr().out
    for part in ("1*", "HAADF", "4x80x96", "300 keV", "20 µs", "20 pm"):
        assert part in table


def test_denoise_a_stack(
    velox: Path, frames: NDArray[np.uint16], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = reucid(
        *("denoise", velox, "-o", tmp_path / "out.npy", "--residual", tmp_path / "rest.npy"),
        *("--interim-dir", tmp_path / "interim", "--report", tmp_path / "report.json"),
        *("--patch-size", 7, "--frames", "joint"),
    )
    assert status == 0
    assert "4 of 4 frames (joint)" in capsys.readouterr().out
    result, rest = np.load(tmp_path / "out.npy"), np.load(tmp_path / "rest.npy")
    np.testing.assert_allclose(result + rest, frames, rtol=1e-5)
    assert len(list((tmp_path / "interim").iterdir())) == 4
    assert json.loads((tmp_path / "report.json").read_text())["frames_done"] == 4


def test_denoise_one_frame_to_the_sources_type(
    velox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.tif"
    chosen = ("--signal", "HAADF", "--frame", 1, "--dtype", "source", "--patch-size", 7)
    assert reucid("denoise", velox, "-o", out, *chosen) == 0
    assert "pixels clipped to uint16" in capsys.readouterr().out
    assert tifffile.imread(out).dtype == np.uint16


def test_denoise_to_a_picture(velox: Path, tmp_path: Path) -> None:
    look = ("--colormap", "inferno", "--scalebar", "--percentiles", "1,99")
    signal = ("--signal", "0", "--patch-size", 7)
    assert reucid("denoise", velox, "-o", tmp_path / "out.png", *look, *signal) == 0
    with Image.open(tmp_path / "out.png") as picture:
        assert (picture.mode, picture.width) == ("RGB", 96)
        assert picture.height > 80


@pytest.mark.parametrize(
    "arguments",
    [
        ("--signal", "DF4"),
        ("--frame", 9),
        ("--colormap", "jet"),
        ("--percentiles", "9"),
        ("-o", "out.png"),  # a picture of a stack
    ],
)
def test_bad_choices_are_exit_2(
    velox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[Any, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reucid("denoise", velox, "-o", "out.tif", *arguments) == 2
    assert list(tmp_path.iterdir()) == []


def test_submit_sends_the_series_of_an_emi_file(
    server: str, frames: NDArray[np.uint16], tmp_path: Path
) -> None:
    files.write_emi(tmp_path / "b.emi")
    files.write_ser(tmp_path / "b_1.ser", frames[0])
    arguments = ("--server", server, "--wait", "-o", tmp_path / "out", "--patch-size", 7)
    assert reucid("submit", tmp_path / "b.emi", *arguments) == 0
    assert (tmp_path / "out" / "b.result.tif").exists()
