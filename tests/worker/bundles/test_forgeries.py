"""Bundles that somebody changed who knows how they are made: `reucid verify` finds it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from pydantic import TypeAdapter

from reucid_core import DenoiseParams, denoise
from reucid_core.classifier import load_classifier
from reucid_core.replay import replay
from reucid_core.report import Report
from tests.support.bundles import (
    Content,
    changed_array,
    changed_report,
    forge,
    npy,
    npz,
    problems,
    set_,
    verdicts,
)
from worker.bundles.verification import verify


def one_pixel(image: Any) -> Any:
    image[20, 30] += 0.01 * np.ptp(image)
    return image


def other_input(entries: Content) -> None:
    """Another image of the same type, shape and calibration."""
    with tifffile.TiffFile(io.BytesIO(entries["input.tif"])) as file:
        pixels = file.asarray()
    swapped = io.BytesIO()
    tifffile.imwrite(
        swapped,
        np.roll(pixels, 5, axis=0)[::-1] + np.uint16(3),
        imagej=True,
        resolution=(1 / 0.03, 1 / 0.02),
        metadata={"unit": "nm"},
    )
    entries["input.tif"] = swapped.getvalue()


def other_picture(entries: Content) -> None:
    with tifffile.TiffFile(io.BytesIO(entries["result.tif"])) as file:
        pixels = file.asarray()
    entries["result.tif"] = calibrated(one_pixel(pixels), 0.02)


def other_calibration(entries: Content) -> None:
    with tifffile.TiffFile(io.BytesIO(entries["result.tif"])) as file:
        pixels = file.asarray()
    entries["result.tif"] = calibrated(pixels, 0.021)


def calibrated(pixels: Any, height: float) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(
        file, pixels, imagej=True, resolution=(1 / 0.03, 1 / height), metadata={"unit": "nm"}
    )
    return file.getvalue()


def other_eigenpatches(entries: Content) -> None:
    """Also orthonormal, but not those of the input."""
    with np.load(io.BytesIO(entries["eigenpatches.npz"])) as file:
        stacks = {name: file[name] for name in file}
    entries["eigenpatches.npz"] = npz({name: each[:, ::-1] for name, each in stacks.items()})


def louder_eigenpatches(entries: Content) -> None:
    with np.load(io.BytesIO(entries["eigenpatches.npz"])) as file:
        entries["eigenpatches.npz"] = npz({name: 1.01 * file[name] for name in file})


def drop_a_verdict(report: dict[str, Any]) -> None:
    kept = report["stack_reports"][0]["kept"]
    kept[kept.index(True)] = False


def nudge_utilities(report: dict[str, Any]) -> None:
    utilities = report["stack_reports"][0]["utilities"]
    utilities[1] = 0.5 * utilities[1]


FORGERIES: dict[str, tuple[Callable[[Content], None], dict[str, str]]] = {
    "result": (
        changed_array("result.npy", one_pixel),
        {"filter": "result.npy is not what the eigenpatches yield", "rerun": "result.npy is not"},
    ),
    "picture": (other_picture, {"filter": "result.tif is not what result.npy"}),
    "calibration": (other_calibration, {"filter": "result.tif has pixels of 0.021 x 0.03 nm"}),
    "input": (other_input, {"filter": "the input was swapped", "rerun": "result.npy is not"}),
    "eigenpatches": (other_eigenpatches, {"filter": "result.npy is not what the eigenpatches"}),
    "louder eigenpatches": (louder_eigenpatches, {"filter": "not orthonormal"}),
    "verdict": (
        changed_report(drop_a_verdict),
        {
            "filter": "result.npy is not what the eigenpatches",
            "rerun": "eigenpatch 1 was left out with",
        },
    ),
    "utilities": (changed_report(nudge_utilities), {"rerun": "the utilities of the report"}),
    "threshold": (changed_report(set_("threshold", 0.01)), {"rerun": "threshold: the report says"}),
    "decision": (
        changed_report(set_("scan_noise", "remove")),
        {"rerun": "scan_noise: the report says 'remove', the re-run gives 'keep'"},
    ),
    "no decision": (
        changed_report(lambda report: report["parameters"].update(scan_noise="maybe")),
        {"rerun": "scan_noise: got 'maybe', expected one of auto, keep, remove"},
    ),
    "origin": (changed_report(set_("psf_radius", 99)), {"rerun": "psf_radius: the report says 99"}),
    "uncovered": (changed_report(set_("uncovered_pixels", 9)), {"filter": "lie under no patch"}),
}


@pytest.mark.parametrize("kind", ["exact", "stacked"])
@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_with_fitting_checksums_is_found(
    name: str, kind: str, bundles: dict[str, Path], tmp_path: Path
) -> None:
    change, expected = FORGERIES[name]
    found = verify(forge(bundles[kind], tmp_path / "b.zip", change))
    assert verdicts(found)["checksums"] is True, found
    for check, reason in expected.items():
        assert verdicts(found)[check] is False
        assert reason in problems(found, check)


FRAME_FORGERIES: dict[str, tuple[str, Callable[[Content], None], dict[str, str]]] = {
    "a pixel of a frame": (
        "frames",
        changed_array("result.npy", lambda image: (one_pixel(image[2]), image)[1]),
        {"filter": "frame 2: result.npy is not what the eigen", "rerun": "frame 2: result.npy"},
    ),
    "a pixel of a joint frame": (
        "joint frames",
        changed_array("result.npy", lambda image: (one_pixel(image[2]), image)[1]),
        {"filter": "frame 2: result.npy is not what the eigen", "rerun": "frame 2: result.npy"},
    ),
    "frames in another order": (
        "frames",
        changed_array("result.npy", lambda image: image[::-1]),
        {"filter": "frame 0: result.npy is not what the eigen"},
    ),
    "a frame that was not denoised": (
        "frames stopped early",
        changed_array("result.npy", lambda image: (one_pixel(image[2]), image)[1]),
        {"filter": "frame 2: result.npy is not the raw frame"},
    ),
    "coverage": (
        "frames stopped early",
        changed_array("coverage.npy", lambda coverage: coverage[::-1]),
        {"filter": "frame 0: coverage.npy is not what"},
    ),
    "verdict of a frame": (
        "frames",
        changed_report(lambda report: drop_a_verdict(report["frame_reports"][1])),
        {"filter": "frame 1: result.npy", "rerun": "frame 1: stack 1: eigenpatch 1 was left out"},
    ),
    "which frame": (
        "one frame",
        changed_report(lambda report: report["input"].update(frame=0)),
        {"filter": "the input was swapped", "rerun": "result.npy is not"},
    ),
    "no such frame": (
        "one frame",
        changed_report(lambda report: report["input"].update(frame=9)),
        {"filter": "expected 0 to 2"},
    ),
    "another classifier of a frame": (
        "frames",
        changed_report(lambda report: report["frame_reports"][1].update(scan_noise="remove")),
        {"filter": "names several classifiers", "rerun": "names several classifiers"},
    ),
    "joint for each": (
        "frames",
        changed_report(lambda report: report.update(frames="joint")),
        {"filter": "frame 1: result.npy is not what the eigen", "rerun": "the re-run gives"},
    ),
    "more frames": (
        "frames",
        changed_report(lambda report: report.update(frames_done=10**9)),
        {"filter": "tells of 3 frames, of which 1000000000 of 3 are done"},
    ),
}


@pytest.mark.parametrize("name", FRAME_FORGERIES)
def test_a_forgery_of_a_stack_is_found(name: str, bundles: dict[str, Path], tmp_path: Path) -> None:
    kind, change, expected = FRAME_FORGERIES[name]
    found = verify(forge(bundles[kind], tmp_path / "b.zip", change))
    assert not found.verified
    for check, reason in expected.items():
        assert verdicts(found)[check] is False
        assert reason in problems(found, check)


def test_another_seed_is_found(bundles: dict[str, Path], tmp_path: Path) -> None:
    def change(report: dict[str, Any]) -> None:
        report["seed"] = report["parameters"]["seed"] = 6

    found = verify(forge(bundles["stacked"], tmp_path / "b.zip", changed_report(change)))
    assert verdicts(found) == {"checksums": True, "filter": False, "rerun": False}


def test_a_consistent_forgery_is_found_by_the_rerun(
    bundles: dict[str, Path], tmp_path: Path
) -> None:
    """Other verdicts, and the result that they yield: only the classifier can say no."""

    def change(entries: Content) -> None:
        changed_report(drop_a_verdict)(entries)
        with tifffile.TiffFile(io.BytesIO(entries["input.tif"])) as file:
            noisy = file.asarray()
        result = denoise(noisy, DenoiseParams(method="paper"), classify=load_classifier())
        report = TypeAdapter(Report).validate_json(entries["report.json"])
        forged, _ = replay(noisy, report, result.eigenpatches)
        entries["result.npy"] = npy(forged)
        entries["result.tif"] = calibrated(forged, 0.02)
        entries["residual.tif"] = calibrated(noisy.astype("float32") - forged, 0.02)

    found = verify(forge(bundles["exact"], tmp_path / "b.zip", change))
    assert verdicts(found) == {"checksums": True, "filter": True, "rerun": False}
    assert "the re-run keeps it with" in problems(found, "rerun")
