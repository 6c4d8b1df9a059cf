"""Results of a set of images stay what they were; `python -m tests.core.test_unchanged` notes them.

A change of rounding is none: results are hashed as float64 in 65,536 steps of their range, where
another library or processor moves a pixel into another step less than once in a thousand images.
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
STEPS = 65535
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
                params = DenoiseParams(precision="float64", threads=1, **kind)
                for name, image in images().items():
                    case = f"{model}, {scan_noise}, {stated}, {name}"
                    yield case, denoise(image, params, classify=classify)
            whole = images()["whole"]
            frames = np.stack([whole[:100, :100], whole[50:150, 50:150]])
            params = DenoiseParams(precision="float64", threads=1)
            joint = denoise_frames(frames, params, classify=classify, joint=True)
            for n, result in enumerate(joint):
                yield f"{model}, {scan_noise}, joint, frame {n}", result


def digest(result: Result) -> str:
    """Of the pixels in steps of their range, the patch size and the verdicts."""
    image, report = result.image, result.report
    low, high = image.min(), image.max()
    steps = np.rint((image - low) / (high - low) * STEPS).astype("<u2")
    verdicts = [report.patch_size, *(stack.kept for stack in report.stack_reports)]
    return hashlib.sha256(steps.tobytes() + json.dumps(verdicts).encode()).hexdigest()


def test_results_are_what_they_were() -> None:
    noted = json.loads(NOTED.read_text())
    found = {case: digest(result) for case, result in results()}
    assert found == noted


if __name__ == "__main__":
    noted = {case: digest(result) for case, result in results()}
    NOTED.write_text(json.dumps(noted, indent=1) + "\n")
