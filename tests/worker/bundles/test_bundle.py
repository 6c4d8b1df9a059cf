"""Bundles as they are written."""

import hashlib
import io
import json
import os
import subprocess
import time
import zipfile
from dataclasses import asdict
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from rocrate.rocrate import ROCrate

from tests.support.bundles import BUNDLED, PAPER, contents
from tests.support.places import ROOT
from worker import formats
from worker.bundles import bundle, provenance
from worker.bundles.provenance import CONTEXT, PROFILE, Run
from worker.bundles.verification import verify
from worker.contract import ImageInfo
from worker.denoising.model_files import DEFAULT
from worker.denoising.params import JobParams
from worker.denoising.run import Step
from worker.local import read
from worker.local.denoising import denoise_file

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


def test_a_bundle_holds_everything(bundles: dict[str, Path], input_file: Path) -> None:
    entries = contents(bundles["exact"])
    assert list(entries) == FILES
    assert entries["input.tif"] == input_file.read_bytes()
    report = json.loads(entries["report.json"])
    assert report["parameters"] == {
        **asdict(PAPER),
        "signal": None,
        "frame": None,
        "frames": "each",
        "model": None,
        "scan_noise": "auto",
    }
    for name in ("stopped early", "frames stopped early"):
        assert sorted(contents(bundles[name]).keys() - entries.keys()) == ["coverage.npy"]
    frames = contents(bundles["joint frames"])
    assert frames.keys() == entries.keys()
    assert np.load(io.BytesIO(frames["result.npy"])).shape == (3, 56, 64)


def test_the_tiffs_keep_the_calibration(bundles: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(bundles["exact"]) as archive:
        archive.extractall(tmp_path)
    for name in ("result.tif", "residual.tif"):
        info = read(tmp_path / name).info
        assert info.pixel_size == pytest.approx((0.02, 0.03))
        assert info.unit == "nm"
    total = tifffile.imread(tmp_path / "result.tif") + tifffile.imread(tmp_path / "residual.tif")
    np.testing.assert_allclose(total, tifffile.imread(tmp_path / "input.tif"), rtol=1e-6)


def a_day_passes(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """For every clock that could be read, and for the files of a folder."""
    now, local = time.time() + 86400, time.localtime

    class Later(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Later":
            return cls.fromtimestamp(now, tz)

    monkeypatch.setattr(time, "time", lambda: now)
    monkeypatch.setattr(time, "localtime", lambda at=None: local(now if at is None else at))
    monkeypatch.setattr(provenance, "datetime", Later)
    for path in folder.iterdir():
        os.utime(path, (now, now))


def test_the_same_run_gives_the_same_bytes(
    bundles: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = contents(bundles["exact"])
    for name, content in entries.items():
        (tmp_path / name).write_bytes(content)
    report = json.loads(entries["report.json"])
    files = {name: tmp_path / name for name in bundle.parts(report)}
    run = Run("a.tif", ImageInfo("tiff", (56, 64), "uint16"), report, 1e9, 1e9 + 1)
    made = []
    for name in ("one.zip", "two.zip"):
        bundle.write(tmp_path / name, run, files, {"input.tif": tmp_path / "input.tif"})
        made.append((tmp_path / name).read_bytes())
        a_day_passes(monkeypatch, tmp_path)
    assert made[0] == made[1]


@pytest.mark.parametrize("shape", [(20, 30), (3, 20, 30)])
def test_the_same_pixels_give_the_same_tiff(shape: tuple[int, ...], tmp_path: Path) -> None:
    info = ImageInfo("tiff", shape, "float32", (0.02, 0.03), "nm")
    pixels = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    written = []
    for name in ("one.tif", "two.tif"):
        formats.write(tmp_path / name, pixels, info, "tiff")
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]


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


def test_an_input_that_changed_meanwhile_is_not_bundled(tmp_path: Path, input_file: Path) -> None:
    moved = tmp_path / "input.tif"
    moved.write_bytes(input_file.read_bytes())

    def touch(_step: Step) -> None:
        moved.write_bytes(moved.read_bytes() + b"\0")

    with pytest.raises(formats.FormatError, match="was changed while"):
        denoise_file(moved, JobParams(), touch, bundle_at=tmp_path / "b.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["input.tif"]


def test_an_input_of_several_files_is_bundled_whole(real_images: Path, tmp_path: Path) -> None:
    """An EMI file with its SER file."""
    path = tmp_path / "b.zip"
    denoise_file(
        real_images / "sto_titan80_1024.emi",
        JobParams(),
        lambda _: None,
        bundle_at=path,
    )
    assert {"input.emi", "input-0001.ser"} < contents(path).keys()
    assert verify(path, rerun=False).verified


@pytest.mark.parametrize("name", BUNDLED)
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
    assert consumed["#given-patch_size"]["value"] == (report["parameters"]["patch_size"] or "auto")
    assert consumed["#given-stacks"]["value"] == (report["parameters"]["stacks"] or "auto")
    reports = report.get("frame_reports", [report])
    for parameter in (
        "patch_size",
        "stacks",
        "components",
        "threshold",
        "seed",
        "precision",
        "method",
    ):
        told = consumed[f"#resolved-{parameter}"]["value"]
        assert (told if isinstance(told, list) else [told] * len(reports)) == [
            each[parameter] for each in reports
        ]
    model = consumed["#model"]
    if reports[0]["method"] == "two-scale":  # a rule, which is no file
        assert model["name"] == reports[0]["model"]
        assert "sha256" not in model
    else:
        assert f"{DEFAULT}@sha256:{model['sha256']}" == reports[0]["model"]
    software, versions = action["instrument"], reports[0]["versions"]
    assert software["softwareVersion"] == versions["reucid"]
    libraries = {each["name"]: each["softwareVersion"] for each in software["softwareRequirements"]}
    assert libraries.items() < versions.items()


@pytest.mark.parametrize("name", ["exact", "stacked", "stopped early"])
def test_a_result_is_found_by_hand_as_the_documentation_says(
    name: str,
    bundles: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = (ROOT / "docs" / "provenance.md").read_text()
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
