"""`reucid revise`: a bundle's result with other eigenpatches."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from reucid_core import DenoiseParams
from tests.support.bundles import changed_report, contents, forge, set_, verdicts
from tests.support.commands import reucid
from tests.support.lattices import write_input
from worker.bundles.verification import verify
from worker.denoising.params import JobParams
from worker.local.denoising import denoise_file


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("input") / "in put.tif"
    write_input(path)
    return path


def bundle_of(noisy: Path, path: Path, *, with_input: bool = True) -> Path:
    params = JobParams(denoising=DenoiseParams(method="paper", patch_size=7))
    denoise_file(noisy, params, lambda _: None, bundle_at=path, with_input=with_input)
    return path


@pytest.fixture(scope="module")
def bundle(noisy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of(noisy, tmp_path_factory.mktemp("bundle") / "bundle.zip")


def array(path: Path, name: str = "result.npy") -> Any:
    return np.load(io.BytesIO(contents(path)[name]))


def test_a_new_bundle_that_verifies(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, told = tmp_path / "new.zip", tmp_path / "report.json"
    stated = ("--drop", "1:2", "--keep", "1:49", "-o", output, "--report", told)
    assert reucid("revise", bundle, *stated) == 0
    assert "a person decided to keep 1 and to leave out 1" in capsys.readouterr().err
    report = json.loads(told.read_bytes())
    assert report == json.loads(contents(output)["report.json"])
    judged = report["stack_reports"][0]["judged_by"]
    assert [k for k, judge in enumerate(judged, start=1) if judge == "person"] == [2, 49]
    assert not np.array_equal(array(output), array(bundle))
    assert "in put.tif" in contents(output)["ro-crate-metadata.json"].decode()
    assert set(verdicts(verify(output)).values()) == {True}
    assert reucid("verify", output) == 0
    assert "stack 1: kept 49; stack 1: left out 2" in capsys.readouterr().out


def test_without_a_verdict_the_bundle_has_the_same_result(bundle: Path, tmp_path: Path) -> None:
    output = tmp_path / "same.zip"
    assert reucid("revise", bundle, "-o", output) == 0
    for name in ("result.npy", "eigenpatches.npz", "residual.tif"):
        assert contents(output)[name] == contents(bundle)[name]


def test_an_image_alone(bundle: Path, tmp_path: Path) -> None:
    output, again = tmp_path / "new.tif", tmp_path / "new.zip"
    assert reucid("revise", bundle, "--drop", "1:2,3", "-o", output) == 0
    assert reucid("revise", bundle, "--drop", "1:2", "--drop", "1:3", "-o", again) == 0
    np.testing.assert_array_equal(tifffile.imread(output), array(again).astype(np.float32))


def test_an_input_that_the_bundle_does_not_hold(
    noisy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slim, output = tmp_path / "slim.zip", tmp_path / "new.zip"
    bundle_of(noisy, slim, with_input=False)
    assert reucid("revise", slim, "--drop", "1:2", "-o", output) == 2
    assert not output.exists()
    assert "--input" in capsys.readouterr().err
    assert reucid("revise", slim, "--drop", "1:2", "--input", noisy, "-o", output) == 0
    with zipfile.ZipFile(output) as archive:
        assert not [name for name in archive.namelist() if name.startswith("input")]
    assert set(verdicts(verify(output, input_file=noisy, rerun=False)).values()) == {True}


def test_a_bundle_that_is_not_what_it_says_is_not_gone_on_from(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    forged = forge(bundle, tmp_path / "forged.zip", changed_report(set_("patch_size", 9)))
    assert reucid("revise", forged, "--drop", "1:2", "-o", tmp_path / "new.zip") == 2
    assert not (tmp_path / "new.zip").exists()
    assert "is not what it says" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (("--keep", "3"), "STACK:K"),
        (("--keep", "1:a"), "STACK:K"),
        (("--keep", "1:50"), "expected 1 to 49"),
        (("--drop", "2:1"), "stack 2"),
        (("--keep", "1:2", "--drop", "1:2"), "eigenpatch 2 of stack 1"),
        (("--frame", "1"), "got 1, expected 0 to 0"),
    ],
)
def test_what_cannot_be_judged(
    bundle: Path,
    tmp_path: Path,
    stated: tuple[str, ...],
    said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert reucid("revise", bundle, *stated, "-o", tmp_path / "new.zip") == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not list(tmp_path.iterdir())
