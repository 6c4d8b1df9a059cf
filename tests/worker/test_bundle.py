"""Bundles as they are written."""

import hashlib
import json
import subprocess
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from rocrate.rocrate import ROCrate

from tests.worker.bundles import contents
from worker import local
from worker.provenance import CONTEXT, PROFILE

FILES = [
    "ro-crate-metadata.json",
    "SHA256SUMS",
    "report.json",
    "result.npy",
    "result.tif",
    "residual.tif",
    "eigenpatches.npz",
    "input.tif",
]


def test_a_bundle_holds_everything(
    denoised: dict[str, local.Denoised], bundles: dict[str, Path], input_file: Path
) -> None:
    entries = contents(bundles["exact"])
    assert list(entries) == FILES
    assert entries["input.tif"] == input_file.read_bytes()
    assert json.loads(entries["report.json"])["parameters"]["seed"] == 0
    early = contents(bundles["stopped early"])
    assert sorted(early.keys() - entries.keys()) == ["coverage.npy"]
    assert denoised["stopped early"].result.report.stacks_done == 2


def test_the_tiffs_keep_the_calibration(bundles: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(bundles["exact"]) as archive:
        archive.extractall(tmp_path)
    for name in ("result.tif", "residual.tif"):
        _, info = local.read_file(tmp_path / name)
        assert info.pixel_size == pytest.approx((0.02, 0.03))
        assert info.unit == "nm"
    total = tifffile.imread(tmp_path / "result.tif") + tifffile.imread(tmp_path / "residual.tif")
    np.testing.assert_allclose(total, tifffile.imread(tmp_path / "input.tif"), rtol=1e-6)


def test_the_same_result_gives_the_same_bytes(
    denoised: dict[str, local.Denoised], bundles: dict[str, Path], tmp_path: Path
) -> None:
    time.sleep(2.1)  # the resolution of a zip's times
    local.save_bundle(tmp_path / "again.zip", denoised["stacked"])
    assert (tmp_path / "again.zip").read_bytes() == bundles["stacked"].read_bytes()


def test_the_checksums_are_those_of_sha256sum(bundles: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(bundles["exact"]) as archive:
        archive.extractall(tmp_path)
    said = subprocess.run(
        ["sha256sum", "--strict", "--check", "SHA256SUMS"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.count(": OK") == len(FILES) - 1


def test_an_input_that_changed_meanwhile_is_not_bundled(
    denoised: dict[str, local.Denoised], tmp_path: Path, input_file: Path
) -> None:
    moved = tmp_path / "input.tif"
    moved.write_bytes(input_file.read_bytes() + b"\0")
    with pytest.raises(local.formats.FormatError, match="was changed while"):
        local.save_bundle(tmp_path / "b.zip", replace(denoised["exact"], path=moved))
    assert [path.name for path in tmp_path.iterdir()] == ["input.tif"]


@pytest.mark.parametrize("name", ["exact", "stacked", "stopped early"])
def test_the_record_is_a_process_run_crate(
    name: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    with zipfile.ZipFile(bundles[name]) as archive:
        archive.extractall(tmp_path)
    document = json.loads((tmp_path / "ro-crate-metadata.json").read_bytes())
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert document["@context"] == CONTEXT
    ids = [entity["@id"] for entity in document["@graph"]]
    assert len(ids) == len(set(ids))
    assert _references(document["@graph"]) <= {*ids, "https://w3id.org/ro/crate/1.1"}

    crate = ROCrate(str(tmp_path))
    root = crate.root_dataset
    assert root["conformsTo"].id == PROFILE
    assert all(root[name] for name in ("name", "description", "datePublished", "license"))
    parts = {each.id for each in root["hasPart"]}
    assert parts == {path.name for path in tmp_path.iterdir()} - {
        "ro-crate-metadata.json",
        "SHA256SUMS",
    }
    for each in root["hasPart"]:
        content = (tmp_path / each.id).read_bytes()
        assert each["sha256"] == hashlib.sha256(content).hexdigest()
        assert each["contentSize"] == str(len(content))

    action = root["mentions"][0] if isinstance(root["mentions"], list) else root["mentions"]
    assert action.type == "CreateAction"
    assert action["instrument"].id == action["agent"].id == "#reucid"
    assert action["startTime"] < action["endTime"]
    consumed = {each.id: each for each in action["object"]}
    assert consumed["#given-patch_size"]["value"] == "auto"
    assert consumed["#given-stacks"]["value"] == (report["parameters"]["stacks"] or "auto")
    for parameter in ("patch_size", "stacks", "components", "threshold", "seed", "precision"):
        assert consumed[f"#resolved-{parameter}"]["value"] == report[parameter]
    assert f"paper@sha256:{consumed['#model']['sha256']}" == report["model"]
    software = action["instrument"]
    assert software["softwareVersion"] == report["versions"]["reucid"]
    libraries = {each["name"]: each["softwareVersion"] for each in software["softwareRequirements"]}
    assert libraries.items() < report["versions"].items()


@pytest.mark.parametrize("name", ["exact", "stacked", "stopped early"])
def test_a_result_is_found_by_hand_as_the_documentation_says(
    name: str,
    bundles: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (Path(__file__).parents[2] / "docs" / "provenance.md").read_text()
    lines = text.split("```python\n")[1].split("```")[0]
    with zipfile.ZipFile(bundles[name]) as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    exec(lines, {"read": tifffile.imread})  # noqa: S102  (our own documentation)
    deviation = float(capsys.readouterr().out)
    assert deviation < 1e-6 * np.ptp(tifffile.imread("input.tif"))


def _references(graph: list[dict[str, Any]]) -> set[str]:
    """All ids that entities refer to."""
    found = set()
    for entity in graph:
        for value in entity.values():
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, dict):
                    found.add(each["@id"])
    return found
