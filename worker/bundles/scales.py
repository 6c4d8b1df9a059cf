"""What a report tells of two scales, checked before anything is computed by it."""

import math

from reucid_core.noise import NoiseModel
from reucid_core.report import OutlierReport, RecoveryReport, Report
from worker.bundles.verdicts import Refuted

SPACINGS = (1, 2)  # px


def check_scales(report: Report) -> None:
    """Refuse numbers that no denoising at two scales, or at one, gives.

    Raises
    ------
    Refuted
    """
    if report.noise is not None:
        _check_noise(report.noise, report.shape)
    if report.spacing not in SPACINGS or report.patch_size * report.spacing > min(report.shape):
        raise Refuted(
            f"report.json: got patches of {report.patch_size} px, {report.spacing} px apart, in an "
            f"image of {report.shape}"
        )
    if report.outliers is not None:
        _check_outliers(report.outliers, report.shape)
    if report.noise is None or report.noise.kind == "none":
        if report.recovery is not None or report.weights:
            raise Refuted("report.json tells of two scales and of no noise")
        return
    _check_weights(report)
    if report.recovery is not None:
        _check_recovery(report.recovery, report.shape)
    elif report.stopped_by is None:
        raise Refuted("report.json tells of no second scale, and of nothing that stopped it")


def _check_noise(noise: NoiseModel, shape: tuple[int, int]) -> None:
    along, across = (shape[1], shape[0]) if noise.scan_axis == "x" else shape
    lengths = {
        "none": (0, 0),
        "white": (along, 0),
        "row": (along, 0),
        "separable": (along, across),
    }
    if (len(noise.along), len(noise.across)) != lengths[noise.kind]:
        raise Refuted(
            f"report.json: noise of kind {noise.kind} has {len(noise.along)} and "
            f"{len(noise.across)} numbers, expected {lengths[noise.kind]}"
        )
    if not all(math.isfinite(power) and power > 0 for power in (*noise.along, *noise.across)):
        raise Refuted("report.json: the noise has power that is not positive")


def _check_weights(report: Report) -> None:
    kept = report.stack_reports[0].kept
    if len(report.weights) != len(kept) or not all(0 <= weight <= 1 for weight in report.weights):
        raise Refuted(
            f"report.json: got {len(report.weights)} weights of {len(kept)} eigenpatches, expected "
            "one for each, from 0 to 1"
        )


def _check_outliers(outliers: OutlierReport, shape: tuple[int, int]) -> None:
    inside = all(
        0 <= place < length
        for places, length in zip(outliers.positions, shape, strict=True)
        for place in places
    )
    if len(outliers.rows) != len(outliers.columns) or not inside:
        raise Refuted(f"report.json: outliers lie outside of an image of {shape}")
    if outliers.runs and not _are_of(outliers.runs, shape):
        raise Refuted("report.json: the areas that were left out are not of this image")


def _check_recovery(recovery: RecoveryReport, shape: tuple[int, int]) -> None:
    p, runs = recovery.patch_size, recovery.runs
    if p % 2 == 0 or not 1 <= p <= min(shape):
        raise Refuted(f"report.json: got patches of {p} px in an image of {shape}")
    if not _are_of(runs, shape):
        raise Refuted("report.json: the map of departures is not one of this image")


def _are_of(runs: list[int], shape: tuple[int, int]) -> bool:
    return sum(runs) == math.prod(shape) and all(run >= 0 for run in runs)
