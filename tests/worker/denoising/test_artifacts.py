"""The files of a result, and what is left out of them because it follows from the rest."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reucid_core import DenoiseParams, Progress, denoise
from tests.support.strategies import keep_first
from worker.contract import FileInfo, ImageInfo
from worker.denoising.artifacts import COVERAGE, ResultFiles, names, whole_coverage
from worker.denoising.params import JobParams

PARAMS = DenoiseParams(patch_size=5, stacks=3)


def write(folder: Path, stopped: list[bool], planned: int) -> tuple[dict[str, Any], np.ndarray]:
    """The report of so many frames, some stopped after their first stack, and their coverage."""
    noisy = np.random.default_rng(0).normal(9, 1, (planned, 20, 24)).astype(np.float32)
    contents = FileInfo("npy", (ImageInfo("npy", noisy.shape, "float32"),))
    coverage = np.zeros(noisy.shape, np.int32)
    params = JobParams(denoising=PARAMS)
    with ResultFiles(folder, noisy, params.selection.of(contents), params) as files:
        for n, stop in enumerate(stopped):

            def on_stack(_: Progress, stop: bool = stop) -> bool:
                return not stop

            result = denoise(noisy[n], PARAMS, classify=keep_first(2), on_stack=on_stack)
            coverage[n] = result.coverage
            files.add(result)
        files.finish("request")
    return json.loads((folder / "report.json").read_text()), coverage


@pytest.mark.parametrize(
    ("stopped", "planned"), [([True], 1), ([False, True, False], 3), ([False, False], 3)]
)
def test_coverage_is_kept_where_patches_are_missing(
    tmp_path: Path, stopped: list[bool], planned: int
) -> None:
    report, coverage = write(tmp_path, stopped, planned)
    assert COVERAGE in names(report)
    np.testing.assert_array_equal(np.load(tmp_path / COVERAGE), coverage)


def test_what_was_left_out_is_a_warning(tmp_path: Path) -> None:
    report, coverage = write(tmp_path, [True, False], 3)
    by_stacks, by_frames = report["warnings"]
    bare = np.count_nonzero(coverage[0] == 0)
    assert f"by the request after 1 of 3 stacks; {bare} pixels" in by_stacks
    assert "by the request after 2 of 3 frames" in by_frames


def test_coverage_of_a_whole_result_follows_from_its_report(tmp_path: Path) -> None:
    report, coverage = write(tmp_path, [False, False], 2)
    assert COVERAGE not in names(report)
    assert not (tmp_path / COVERAGE).exists()
    np.testing.assert_array_equal(whole_coverage(report), coverage)
