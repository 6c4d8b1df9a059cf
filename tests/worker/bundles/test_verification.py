"""What `reucid verify` finds in bundles as they are made, damaged or incomplete."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from reucid_core import DenoiseParams
from tests.support.bundles import (
    BUNDLED,
    changed_report,
    contents,
    forge,
    npy,
    pack,
    problems,
    verdicts,
)
from tests.support.models import write_model
from worker.bundles.verification import verify
from worker.denoising.model_choice import ModelChoice
from worker.denoising.model_files import Models
from worker.denoising.params import JobParams
from worker.local.denoising import denoise_file

KINDS = [*BUNDLED]


@pytest.mark.parametrize("kind", KINDS)
def test_a_bundle_is_verified(kind: str, bundles: dict[str, Path]) -> None:
    found = verify(bundles[kind])
    assert verdicts(found) == {"checksums": True, "filter": True, "rerun": True}
    assert found.verified
    measured = {name: value for check in found.checks for name, value in check.deviations.items()}
    assert measured.keys() == {
        *("result.npy", "result.tif", "residual.tif", "singular values", "utilities")
    }
    for check in found.checks:
        assert all(check.deviations[name] <= check.tolerances[name] for name in check.deviations)


def test_a_bundle_of_another_processor_is_verified(bundles: dict[str, Path]) -> None:
    """Whose linear algebra has other kernels, which round otherwise."""
    command = [sys.executable, "-m", "app", "verify", str(bundles["stacked"]), "--json"]
    other = os.environ | {"OPENBLAS_CORETYPE": "Nehalem"}
    said = subprocess.run(command, env=other, capture_output=True, text=True, check=False)
    assert json.loads(said.stdout)["verified"] is True, said


def test_a_bundle_zipped_anew_is_verified(bundles: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as again:
        for name, content in reversed(contents(bundles["exact"]).items()):
            again.writestr(name, content)
    assert verify(tmp_path / "b.zip", rerun=False).verified


def test_a_flipped_byte_of_any_file_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    whole = bundles["exact"].read_bytes()
    with zipfile.ZipFile(bundles["exact"]) as opened:
        entries = opened.infolist()
    for entry in entries:
        flipped = bytearray(whole)
        flipped[entry.header_offset + 30 + len(entry.filename) + entry.file_size // 2] ^= 1
        (tmp_path / "b.zip").write_bytes(flipped)
        found = verify(tmp_path / "b.zip", rerun=False)
        assert verdicts(found)["checksums"] is False
        assert f"{entry.filename} is damaged" in problems(found, "checksums")


def test_a_changed_file_of_any_name_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    """Its zip is sound; only the checksums speak against it."""
    original = contents(bundles["stopped early"])
    for name in original.keys() - {"SHA256SUMS"}:
        pack(tmp_path / "b.zip", original | {name: original[name] + b"\n"})
        found = verify(tmp_path / "b.zip", rerun=False)
        assert verdicts(found)["checksums"] is False
        assert f"{name} was changed" in problems(found, "checksums")


def test_a_missing_or_unlisted_file_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    original = contents(bundles["exact"])
    for name in original.keys() - {"input.tif"}:
        pack(tmp_path / "b.zip", {each: original[each] for each in original if each != name})
        found = verify(tmp_path / "b.zip", rerun=False)
        assert f"{name} is missing" in problems(found, "checksums")
        assert not found.verified
    pack(tmp_path / "b.zip", original | {"coverage.npy": npy(np.ones((3, 3)))})
    found = verify(tmp_path / "b.zip", rerun=False)
    assert "coverage.npy is not listed" in problems(found, "checksums")


def test_a_record_that_tells_otherwise_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    for old, new, reason in (
        (b'"value": 7,', b'"value": 9,', "differ in patch_size, as resolved"),
        (b'"name": "numpy",', b'"name": "nunpy",', "differ in numpy"),
        (b'"contentSize": "', b'"contentSize": "1', "describes another"),
    ):
        entries = contents(bundles["exact"])
        assert old in entries["ro-crate-metadata.json"]
        entries["ro-crate-metadata.json"] = entries["ro-crate-metadata.json"].replace(old, new)
        found = verify(pack(tmp_path / "b.zip", entries), rerun=False)
        assert reason in problems(found, "checksums")


def test_without_the_input_nothing_can_be_said_until_it_is_named(
    bundles: dict[str, Path], tmp_path: Path, input_file: Path
) -> None:
    found = verify(bundles["without input"])
    assert verdicts(found) == {"checksums": True, "filter": None, "rerun": None}
    assert not found.verified
    assert "--input" in problems(found, "filter")
    assert verify(bundles["without input"], input_file=input_file).verified
    other = tmp_path / "other.tif"
    tifffile.imwrite(other, tifffile.imread(input_file)[::-1])
    found = verify(bundles["without input"], input_file=other)
    assert verdicts(found) == {"checksums": False, "filter": False, "rerun": False}
    assert "the input was swapped" in problems(found, "checksums")


def test_other_weights_cannot_say_whether_it_is_the_same(
    bundles: dict[str, Path], tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_others(report: dict[str, Any]) -> None:
        report["model"] = f"paper@sha256:{'0' * 64}"

    found = verify(forge(bundles["exact"], tmp_path / "b.zip", changed_report(by_others)))
    assert verdicts(found) == {"checksums": True, "filter": True, "rerun": None}
    assert "REUCID_MODEL" in problems(found, "rerun")
    monkeypatch.setenv("REUCID_MODEL", str(model))
    assert verify(bundles["exact"]).verified, "by the bundled weights, which are there too"


@pytest.mark.parametrize("kind", ["exact", "stacked", "frames", "joint frames"])
def test_a_report_without_the_classifiers_decision_is_none(
    kind: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    entries = contents(bundles[kind])
    report = json.loads(entries["report.json"])
    for each in report.get("frame_reports", [report]):
        del each["scan_noise"]
    entries["report.json"] = json.dumps(report).encode()
    found = verify(pack(tmp_path / "b.zip", entries))
    assert not found.verified
    assert "scan_noise: Field required" in problems(found, "filter")


def test_parameters_of_another_version_are_not_run_again(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    def add(report: dict[str, Any]) -> None:
        report["parameters"]["sharpness"] = 3

    found = verify(forge(bundles["exact"], tmp_path / "b.zip", changed_report(add)))
    assert verdicts(found)["rerun"] is None
    assert "sharpness" in found.checks[-1].problems[0]


def test_a_bundle_is_run_again_by_the_same_weights_and_decision(
    input_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = write_model(tmp_path / "second.safetensors", note="second")
    choice = ModelChoice(model="second")
    path = tmp_path / "b.zip"
    denoise_file(
        input_file,
        JobParams(choice=choice, denoising=DenoiseParams(scan_noise="remove")),
        lambda _: None,
        models=Models(weights),
        bundle_at=path,
    )
    found = verify(path)
    assert verdicts(found) == {"checksums": True, "filter": True, "rerun": None}
    assert "it was made with the weights second@sha256:" in problems(found, "rerun")
    other = write_model(tmp_path / "other" / "second.safetensors", note="the same name alone")
    monkeypatch.setenv("REUCID_MODEL", str(other))
    assert verdicts(verify(path))["rerun"] is None
    called_otherwise = tmp_path / "models" / "renamed.safetensors"
    called_otherwise.parent.mkdir()
    weights.rename(called_otherwise)
    monkeypatch.setenv("REUCID_MODEL_DIR", str(called_otherwise.parent))
    assert verify(path).verified
