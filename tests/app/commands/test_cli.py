"""The command line without a server: exit status, files, messages."""

import csv
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from tests.support.commands import reucid


def lattice_with_a_defect(folder: Path) -> Path:
    """A file of one, at rows 40 to 45 and columns 50 to 55."""
    rows, columns = np.mgrid[:96, :112]
    lattice = 40 + 20 * np.cos(2 * np.pi * rows / 9) + 20 * np.cos(2 * np.pi * columns / 11)
    lattice[40:46, 50:56] += 90
    file = folder / "in.npy"
    np.save(file, np.random.default_rng(3).poisson(lattice).astype(np.uint16))
    return file


def test_denoise_writes_everything_it_is_asked_for(
    tiff: Path, micrograph: NDArray[np.uint16], tmp_path: Path
) -> None:
    paths = {name: tmp_path / name for name in ("out.tif", "residual.npy", "report.json")}
    status = reucid(
        "denoise",
        tiff,
        *("-o", paths["out.tif"], "--residual", paths["residual.npy"]),
        *("--report", paths["report.json"], "--interim-dir", tmp_path / "interim"),
        *("--stacks", 2, "--patch-size", 7, "--components", 9, "--threshold", 0.5, "--seed", 3),
    )
    assert status == 0
    result = tifffile.imread(paths["out.tif"])
    np.testing.assert_allclose(result + np.load(paths["residual.npy"]), micrograph, rtol=1e-5)
    report = json.loads(paths["report.json"].read_text())
    assert (report["patch_size"], report["stacks"], report["components"]) == (7, 2, 9)
    interims = sorted((tmp_path / "interim").iterdir())
    assert [path.name for path in interims] == ["interim-0001.tif", "interim-0002.tif"]
    np.testing.assert_array_equal(tifffile.imread(interims[-1]), result)


def test_precision_deadline_and_memory_reach_the_work(
    tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, report_at = tmp_path / "out.npy", tmp_path / "report.json"
    stated = ("--precision", "float64", "--deadline", 0, "--memory", 512, "--stacks", 3)
    assert reucid("denoise", tiff, "-o", out, "--report", report_at, *stated) == 0
    assert np.load(out).dtype == np.float64
    report = json.loads(report_at.read_text())
    assert (report["stacks_done"], report["stopped_by"]) == (1, "deadline")
    given = report["parameters"]
    assert (given["precision"], given["deadline"]) == ("float64", 0)
    assert given["memory_budget"] == 512 * 2**20
    told = " ".join(capsys.readouterr().err.split())
    assert "stopped by the deadline after 1 of 3 stacks" in told


def test_interim_results_are_said_to_be_what_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, folder = tmp_path / "out.tif", tmp_path / "interim"
    file = lattice_with_a_defect(tmp_path)
    assert reucid("denoise", file, "-o", out, "--interim-dir", folder) == 0
    told = capsys.readouterr().out
    assert "interim-0001.tif: the lattice, without what departs from it" in told
    assert "interim-0002.tif: the whole result" in told
    last = tifffile.imread(folder / "interim-0002.tif")
    np.testing.assert_array_equal(last, tifffile.imread(out))
    assert (tifffile.imread(folder / "interim-0001.tif") != last).any()


def test_a_named_rule_gives_the_patch_size_here_and_there(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here.json", tmp_path / "there"
    stated = (lattice_with_a_defect(tmp_path), "--patch-size-from", "information-limit")
    assert reucid("denoise", *stated, "-o", tmp_path / "a.npy", "--report", here) == 0
    assert "px (information-limit)" in capsys.readouterr().out
    assert reucid("submit", *stated, "--server", server, "--wait", "-o", there) == 0
    told = [json.loads(path.read_text()) for path in (here, there / "in.report.json")]
    assert {each["patch_size_origin"] for each in told} == {"information-limit"}
    assert len({each["patch_size"] for each in told}) == 1


def share_of_detail(residual: NDArray[np.float32], result: NDArray[np.float32]) -> float:
    """Of the six strongest frequencies beyond 0.03 cycles/px, off the line of row offsets."""
    window = np.outer(*map(np.hanning, result.shape))
    left, whole = (
        np.abs(np.fft.rfft2((image - image.mean()) * window))
        for image in (residual, residual + result)
    )
    y, x = np.fft.fftfreq(result.shape[0])[:, None], np.fft.rfftfreq(result.shape[1])
    detail = (np.hypot(y, x) > 0.03) & (abs(y) > 0.01)
    strongest = detail & (whole >= np.sort(whole[detail])[-6])
    return float(np.linalg.norm(left[strongest]) / np.linalg.norm(whole[strongest]))


def test_scan_noise_hides_the_autocorrelation_s_turn_but_not_the_information_limit(
    real_images: Path, tmp_path: Path
) -> None:
    file, residual = real_images / "haadf_scannoise_512.dm3", tmp_path / "residual.npy"
    shares = {}
    for name in ("autocorrelation", "information-limit"):
        report = tmp_path / f"{name}.json"
        stated = ("--method", "paper", "--patch-size-from", name, "--overwrite")
        written = ("-o", tmp_path / "a.npy", "--residual", residual, "--report", report)
        assert reucid("denoise", file, *stated, *written) == 0
        size = json.loads(report.read_text())["patch_size"]
        shares[size] = share_of_detail(np.load(residual), np.load(tmp_path / "a.npy"))
    assert sorted(shares) == [5, 11]
    assert 0 < shares[11] < 0.5 * shares[5]


@pytest.mark.parametrize(
    ("option", "value"), [("--deadline", -1), ("--precision", "half"), ("--memory", 0)]
)
def test_what_no_denoising_can_have_is_refused(
    option: str, value: object, tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reucid("denoise", tiff, "-o", tmp_path / "out.tif", option, value) == 2
    assert option.removeprefix("--") in capsys.readouterr().err


def test_residual_says_whether_it_is_white(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(2).normal(size=(128, 128))
    stripes = noise + np.sin(2 * np.pi * np.arange(128) / 8)
    for name, image, verdicts in (
        (
            "noise",
            noise,
            ("as expected: noise that is white", "whiteness: yes", "lattice peak: none"),
        ),
        (
            "stripes",
            stripes,
            ("SUSPICIOUS: it holds structure", "whiteness: NO", "STANDS OUT", "period 8.00 px"),
        ),
    ):
        np.save(tmp_path / f"{name}.npy", image)
        assert reucid("residual", tmp_path / f"{name}.npy") == 0
        printed = capsys.readouterr().out
        for verdict in verdicts:
            assert verdict in printed


BAD: dict[str, tuple[list[Any], str]] = {
    "no such file": (["no-such.tif", "-o", "out.tif"], "no-such.tif"),
    "not an image": (["text.tif", "-o", "out.tif"], "expected one of TIFF"),
    "even patch size": (["IN", "-o", "out.tif", "--patch-size", "8"], "--patch-size"),
    "patch size of text": (["IN", "-o", "out.tif", "--patch-size", "big"], "--patch-size"),
    "patch larger than the image": (["IN", "-o", "out.tif", "--patch-size", "81"], "79 px"),
    "threshold out of range": (["IN", "-o", "out.tif", "--threshold", "2"], "--threshold"),
    "unknown option": (["IN", "-o", "out.tif", "--sharpen"], "--sharpen"),
    "no output": (["IN"], "--output"),
    "unknown output format": (["IN", "-o", "out.jpg"], "out.jpg"),
    "no folder for the output": (["IN", "-o", "nowhere/out.tif"], "nowhere"),
    "output is the input": (["IN", "-o", "IN"], "never overwritten"),
    "output is there": (["IN", "-o", "text.tif"], "text.tif is there already"),
    "output is a folder": (["IN", "-o", "a.tif", "--report", "."], "is a folder"),
    "two outputs of one name": (["IN", "-o", "a.tif", "--residual", "a.tif"], "same name"),
    "interim folder is a file": (["IN", "-o", "a.tif", "--interim-dir", "text.tif"], "text.tif"),
    "stacks of the exact engine": (
        ["IN", "-o", "a.tif", "--engine", "exact", "--stacks", "2"],
        "--stacks",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_exit_2(
    name: str,
    tiff: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments, reason = BAD[name]
    monkeypatch.chdir(tmp_path)
    Path("text.tif").write_text("dear diary")
    before = tiff.read_bytes()
    status = reucid("denoise", *(tiff if word == "IN" else word for word in arguments))
    error = capsys.readouterr().err.strip().splitlines()
    assert status == 2
    assert len([line for line in error if line.startswith("reucid: ")]) == 1
    assert reason in error[-1]
    assert tiff.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text.tif"]


def test_damaged_weights_are_a_fault_of_ours(
    tiff: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bad.safetensors").write_bytes(b"not weights")
    monkeypatch.setenv("REUCID_MODEL", str(tmp_path / "bad.safetensors"))
    assert reucid("denoise", tiff, "-o", tmp_path / "out.tif", "--method", "paper") == 1
    assert "bad.safetensors is not a readable" in capsys.readouterr().err


def test_submit_fetches_everything(
    server: str, tiff: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("submit", tiff, "--server", server, "--wait", "-o", tmp_path, "--stacks", 2)
    assert reucid(*arguments, "--patch-size", 7) == 0
    names = [path.name for path in sorted(tmp_path.iterdir())]
    assert names == [
        "micrograph.coverage.tif",
        "micrograph.eigenpatches.png",
        "micrograph.interim-0001.tif",
        "micrograph.interim-0002.tif",
        "micrograph.report.json",
        "micrograph.residual.tif",
        "micrograph.result.tif",
    ]
    assert reucid(*arguments, "--patch-size", 7) == 2  # before anything is sent
    assert "is there already" in capsys.readouterr().err
    assert reucid(*arguments, "--patch-size", 7, "--overwrite") == 0


def test_submit_sends_a_zip_as_a_batch(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed, there = tmp_path / "series.zip", tmp_path / "there"
    rng = np.random.default_rng(4)
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("a/one.npy", "b/one.npy", "b/two.npy"):
            with archive.open(name, "w") as file:
                np.save(file, rng.poisson(9, (40, 44)).astype(np.uint16))
    stated = ("submit", packed, "--server", server, "--batch", "s1", "--method", "paper")
    assert reucid(*stated, "--patch-size", 7, "--wait", "-o", there) == 0
    assert capsys.readouterr().out.splitlines()[0] == "s1"
    names = sorted(path.name for path in there.iterdir())
    results = [name for name in names if name.endswith(".result.tif")]
    assert (results[1:], results[0][:4]) == (["one.result.tif", "two.result.tif"], "one-")
    rows = list(csv.DictReader((there / "summary.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == ["one.npy", "one.npy", "two.npy"]
    assert reucid(*stated, "--wait", "-o", there) == 2
    assert "is there already" in capsys.readouterr().err
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("diary.txt", "dear diary")
    assert reucid(*stated) == 2
    assert "diary.txt" in capsys.readouterr().err


def test_departures_are_written_and_fetched(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here.tif", tmp_path / "there"
    stated = (lattice_with_a_defect(tmp_path), "--method", "two-scale", "--bias")
    assert reucid("denoise", *stated, "-o", tmp_path / "a.npy", "--departures", here) == 0
    assert "of small changes in single columns" in capsys.readouterr().out
    assert reucid("submit", *stated, "--server", server, "--wait", "-o", there) == 0
    assert "of small changes in single columns" in capsys.readouterr().out
    mapped = tifffile.imread(here)
    assert mapped[40:46, 50:56].any()
    np.testing.assert_array_equal(tifffile.imread(there / "in.departures.tif"), mapped)


@pytest.mark.parametrize("method", ["paper", "two-scale"])
def test_what_is_wrong_is_said_once(
    method: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Noise of which nothing is told from signal: all eigenpatches are kept."""
    file = tmp_path / "in.npy"
    np.save(file, np.random.default_rng(1).normal(100, 5, (64, 72)).astype(np.float32))
    few = ("--patch-size", 3, "--threshold", 0)
    assert reucid("denoise", file, "-o", tmp_path / "a.npy", "--method", method, *few) == 0
    said = capsys.readouterr()
    told = f"{said.out}{said.err}".replace("\n", " ")
    assert told.count("of the noise is gone") == 1
    assert (
        "hardly any could be told from signal" in said.err.replace("\n", " ") or method != "paper"
    )


def test_submit_says_what_the_server_refused(
    server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.tif").write_text("dear diary")
    assert reucid("submit", tmp_path / "text.tif", "--server", server) == 2
    assert "expected one of TIFF" in capsys.readouterr().err


def test_no_server_is_not_the_users_fault(tiff: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert reucid("submit", tiff, "--server", "http://127.0.0.1:9") == 1
    assert "reucid serve" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["localhost:8000", "http://[::1", "ftp://localhost"])
def test_a_wrong_address_is_the_users_fault(
    tiff: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert reucid("submit", tiff, "--server", address) == 2
    assert address in capsys.readouterr().err


def test_a_wrong_setting_is_named(
    tiff: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert reucid("serve", "--port", "99999") == 2
    assert "--port" in capsys.readouterr().err
    monkeypatch.setenv("REUCID_WORKERS", "many")
    assert reucid("denoise", tiff, "-o", tmp_path / "out.tif") == 2
    assert "REUCID_WORKERS" in capsys.readouterr().err


def test_only_loopback_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REUCID_DATA_DIR", str(tmp_path))
    assert reucid("serve", "--host", "0.0.0.0") == 2  # noqa: S104
    assert "loopback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ("bundle", "0" * 32, "-o", "there", "--server", "http://127.0.0.1:9"),
        ("survey", "import", ".", "answers.csv", "-o", "there"),
        ("train", "tuned", "--output", "weights"),
        ("evaluate", "--output", "evaluation"),
        ("demo", "-o", "demo"),
    ],
    ids=lambda command: command[0],
)
def test_no_command_overwrites_silently(
    command: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("answers.csv").touch()
    theirs = ("there", "weights/tuned.safetensors", "evaluation/scores.json", "demo/result.tif")
    for name in theirs:
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("mine")
    assert reucid(*command) == 2
    assert "is there already" in capsys.readouterr().err
    assert {Path(name).read_text() for name in theirs} == {"mine"}


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_work(
    tiff: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    for output in (tmp_path / "a.tif", f"{tmp_path}/"):
        assert reucid("denoise", tiff, "-o", output) == 2
        assert "cannot be written to" in capsys.readouterr().err
