"""What a denoising leaves behind: its result, and everything needed to check it."""

import json
from pathlib import Path

import numpy as np

from reucid_core import Result

ARTIFACTS = ("result.npy", "coverage.npy", "report.json", "eigenpatches.npz")


def write_artifacts(folder: Path, result: Result) -> None:
    """Write the artifacts of a result; the same result gives the same bytes."""
    np.save(folder / "result.npy", result.image)
    np.save(folder / "coverage.npy", result.coverage)
    report = json.dumps(result.report.to_dict(), indent=1, allow_nan=False)
    (folder / "report.json").write_text(report)
    stacks = {f"stack{n}": each for n, each in enumerate(result.eigenpatches, start=1)}
    np.savez(folder / "eigenpatches.npz", allow_pickle=False, **stacks)
