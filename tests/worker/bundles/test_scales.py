"""A bundle of two scales: verified as it was written, refused when it tells what cannot be."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reucid_core import DenoiseParams
from tests.support.bundles import changed_report, contents, pack, problems, verdicts
from worker.bundles.verification import verify
from worker.denoising.params import JobParams
from worker.local import read, write
from worker.local.denoising import denoise_file

TWO_SCALES = JobParams(denoising=DenoiseParams(method="two-scale"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a lattice with a defect, in noise that is correlated along its rows."""
    folder = tmp_path_factory.mktemp("scales")
    rows, columns = np.mgrid[:96, :112]
    lattice = 40 + 20 * np.cos(2 * np.pi * rows / 9) + 20 * np.cos(2 * np.pi * columns / 11)
    lattice[40:46, 50:56] += 60
    noise = np.random.default_rng(3).normal(size=(96, 113))
    np.save(folder / "input.npy", (lattice + 9 * (noise[:, 1:] + noise[:, :-1])).astype(np.float32))
    path = folder / "bundle.zip"
    denoise_file(folder / "input.npy", TWO_SCALES, lambda _: None, bundle_at=path)
    return path


def test_it_is_verified(bundle: Path) -> None:
    found = verify(bundle)
    assert verdicts(found) == {"checksums": True, "filter": True, "rerun": True}


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "method": (lambda report: report.update(method="three-scale"), "names the method"),
    "spacing": (lambda report: report.update(spacing=7), "px apart"),
    "weights": (lambda report: report["weights"].append(1.0), "one for each, from 0 to 1"),
    "heavy": (lambda report: report["weights"].__setitem__(0, 1.5), "one for each, from 0 to 1"),
    "noise": (lambda report: report["noise"]["along"].pop(), "numbers, expected"),
    "silence": (lambda report: report["noise"]["along"].__setitem__(0, 0.0), "not positive"),
    "no noise": (lambda report: report.update(noise=None), "of two scales and of no noise"),
    "map": (lambda report: report["recovery"]["runs"].append(1), "not one of this image"),
    "outliers": (lambda report: report["outliers"]["rows"].append(999), "outside of an image"),
    "patches": (lambda report: report["recovery"].update(patch_size=8), "patches of 8 px"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_no_denoising_gives_is_refused(name: str, bundle: Path, tmp_path: Path) -> None:
    change, reason = CHANGES[name]
    entries = contents(bundle)
    changed_report(change)(entries)
    found = verify(pack(tmp_path / "b.zip", entries), rerun=False)
    assert not found.verified
    assert reason in problems(found, "filter")


def test_a_changed_weight_is_found(bundle: Path, tmp_path: Path) -> None:
    entries = contents(bundle)
    changed_report(lambda report: report["weights"].__setitem__(1, 0.3))(entries)
    found = verify(pack(tmp_path / "b.zip", entries), rerun=False)
    assert "result.npy is not what the eigenpatches yield" in problems(found, "filter")


def test_it_holds_the_map_of_departures(bundle: Path, tmp_path: Path) -> None:
    entries = contents(bundle)
    (tmp_path / "map.tif").write_bytes(entries["departures.tif"])
    drawn = read(tmp_path / "map.tif").pixels
    assert drawn[40:46, 50:56].any()
    assert set(np.unique(drawn)) == {0, 1}


def test_another_map_of_departures_is_found(bundle: Path, tmp_path: Path) -> None:
    entries = contents(bundle)
    changed = tmp_path / "map.tif"
    changed.write_bytes(entries["departures.tif"])
    found = read(changed)
    drawn, info = found.pixels, found.info
    write(changed, 1 - drawn, info)
    entries["departures.tif"] = changed.read_bytes()
    found = verify(pack(tmp_path / "b.zip", entries), rerun=False)
    assert "departures.tif is not the map" in problems(found, "filter")


def test_a_missing_map_of_departures_is_found(bundle: Path, tmp_path: Path) -> None:
    entries = contents(bundle)
    del entries["departures.tif"]
    found = verify(pack(tmp_path / "b.zip", entries), rerun=False)
    assert "departures.tif is missing" in problems(found, "filter")


def test_areas_that_were_left_out_are_told_by_their_runs(bundle: Path, tmp_path: Path) -> None:
    entries = contents(bundle)
    changed_report(lambda report: report["outliers"].update(runs=[5]))(entries)
    found = verify(pack(tmp_path / "b.zip", entries), rerun=False)
    assert "are not of this image" in problems(found, "filter")
