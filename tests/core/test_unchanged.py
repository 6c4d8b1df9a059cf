"""Results of a set of images stay what they were; `python -m tests.core.test_unchanged` notes them.

All by method `paper`. A change of rounding, as by another processor, is none: what is noted are
sums of all pixels with random signs, in units of the image's standard deviation.
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core import DenoiseParams, Result, denoise, denoise_frames
from reucid_core.classifier import WEIGHTS, load_classifier
from reucid_core.training.micrographs.micrograph import demonstration

NOTED = Path(__file__).with_suffix(".json")
SUMS, TOLERANCE = 8, 1e-6
PARAMS: dict[str, dict[str, Any]] = {
    "default": {},
    "p = 9": {"patch_size": 9},
    "p = 21": {"patch_size": 21},
    "3 stacks": {"stacks": 3, "seed": 5},
}


def images() -> dict[str, NDArray[Any]]:
    micrograph, _ = demonstration()
    return {
        "whole": micrograph,
        "prime sides": micrograph[:97, :131],
        "offset": micrograph[10:140, 5:200] * 1.5 - 7e4,
    }


def results() -> Iterator[tuple[str, Result]]:
    for model in ("tuned", "paper"):
        for scan_noise in ("keep", "remove"):
            classify = load_classifier(WEIGHTS / f"{model}.safetensors", scan_noise=scan_noise)
            for stated, kind in PARAMS.items():
                params = DenoiseParams(method="paper", precision="float64", threads=1, **kind)
                for name, image in images().items():
                    case = f"{model}, {scan_noise}, {stated}, {name}"
                    yield case, denoise(image, params, classify=classify)
            whole = images()["whole"]
            frames = np.stack([whole[:100, :100], whole[50:150, 50:150]])
            params = DenoiseParams(method="paper", precision="float64", threads=1)
            joint = denoise_frames(frames, params, classify=classify, joint=True)
            for n, result in enumerate(joint):
                yield f"{model}, {scan_noise}, joint, frame {n}", result


def noted_of(result: Result) -> dict[str, Any]:
    """Sums of the pixels, and a hash of patch size and verdicts."""
    image, report = result.image, result.report
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(SUMS, image.size))
    deviation = ((image - image.mean()) / image.std()).ravel()
    verdicts = [report.patch_size, *(stack.kept for stack in report.stack_reports)]
    return {
        "sums": [*(signs @ deviation / np.sqrt(image.size)), image.mean() / image.std()],
        "verdicts": hashlib.sha256(json.dumps(verdicts).encode()).hexdigest(),
    }


def test_results_are_what_they_were() -> None:
    noted = json.loads(NOTED.read_text())
    found = {case: noted_of(result) for case, result in results()}
    assert found.keys() == noted.keys()
    for case, each in found.items():
        assert each["verdicts"] == noted[case]["verdicts"], case
        np.testing.assert_allclose(
            each["sums"], noted[case]["sums"], rtol=TOLERANCE, atol=TOLERANCE, err_msg=case
        )


if __name__ == "__main__":
    noted = {case: noted_of(result) for case, result in results()}
    NOTED.write_text(json.dumps(noted, indent=1) + "\n")
