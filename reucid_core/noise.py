"""The noise of an image, measured in it where no signal can be.

On nearly every raw scanned micrograph the noise is correlated along the fast scan, by the
detector's decay and in streaks, and white across it. Derivation: docs/algorithm.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Literal

import numpy as np

from reucid_core.eigenpatches import FloatArray
from reucid_core.params import ScanAxis, ScanNoise
from reucid_core.spectra import MEDIAN_SD, Float64, Spectra, evenness, smoothed, steady_shape

NoiseKind = Literal["none", "white", "row", "separable"]

SMALLEST = 17  # px, the shorter side of an image whose spectrum can be measured
FEWEST_ROWS = 3  # of the spectrum beyond the information limit
CORRELATED = 5.0  # standard errors beyond which noise counts as correlated across the scan
COLOURED = 4.5  # and from which it counts as correlated along it
UPPERMOST = 0.44  # cycles/px: an information limit from here on leaves no room for noise alone
STEEP = 100.0  # ratio of powers beyond which a filtered image's noise may as well be its signal
FLOOR = 1e-6  # of the power at most frequencies: what was filtered away is not amplified endlessly
TYPICAL = 0.9  # quantile of the power that stands for it, whatever a few frequencies have
LEAST = 1e-9  # of the largest magnitude: a standard deviation below it is rounding
MOST = 8 / 3  # of the image's variance: the window's weight for noise in the middle rows alone
ONE_PIXEL = 0.5  # of the image's sum of squares: from there on a single pixel rules the spectrum
EDGES = 3.0  # times what most bands of rows have: from there on power is that of edges
BLOCK = 2**20  # pixels whose squares are summed at a time
NEIGHBOURS = slice(1, 9)  # frequencies beside the line of row offsets


@dataclass(frozen=True)
class NoiseModel:
    """Power spectrum of the noise, as numbers ready for JSON.

    The power at cosine frequencies i across the scan and j along it is ``across[i] * along[j]``.

    Parameters
    ----------
    kind : {"none", "white", "row", "separable"}
        `row`: correlated along the fast scan alone; `separable`: across it as well, as after
        filtering, resampling or alignment; `none`: it could not be measured, or there is none.
    scan_axis : {"x", "y"}
        Along which the fast scan runs: x along the rows of the image.
    variance : float
        Of a pixel's noise, intensity squared.
    along : list of float
        Power by cosine frequency along the fast scan, intensity squared; empty if `none`.
    across : list of float
        Factor by cosine frequency across the scan; empty unless `separable`.
    information_limit : float or None
        In cycles/px across the scan, beyond which there is noise alone.
    correlation_across : float or None
        In standard errors: how sure it is that the noise is correlated across the scan.
    relative_error : float or None
        Standard error of each value of `along` before it is smoothed.
    certain : bool
        False where signal may count as noise: where it reaches up to the highest frequencies, the
        spectrum of a separable noise is as steep as a signal's, or a single pixel has most of the
        image's variance.
    """

    kind: NoiseKind
    scan_axis: Literal["x", "y"] = "x"
    variance: float = 0.0
    along: list[float] = field(default_factory=list)
    across: list[float] = field(default_factory=list)
    information_limit: float | None = None
    correlation_across: float | None = None
    relative_error: float | None = None
    certain: bool = True

    @property
    def next_pixel(self) -> float:
        """Correlation of the noise with that of the next pixel along the scan."""
        if not self.along:
            return 0.0
        power = np.array(self.along)
        angles = np.pi * (np.arange(len(power)) + 0.5) / len(power)
        return float(np.vdot(power, np.cos(angles)) / power.sum())

    def spectrum(self) -> tuple[Float64, Float64]:
        """Power by cosine frequency along y and along x, whose products are the power."""
        along = np.array(self.along)
        across = np.array(self.across) if self.across else np.ones(1)
        return (across, along) if self.scan_axis == "x" else (along, across)


def estimate_noise(
    frames: Iterable[FloatArray], scan_axis: ScanAxis = "auto", scan_noise: ScanNoise = "remove"
) -> NoiseModel:
    """Measure the noise of an image, or of several of one shape together.

    Parameters
    ----------
    frames : iterable of ndarray, shape (m, n), float32 or float64
    scan_axis : {"auto", "x", "y"}
        Along which the fast scan runs; `auto` looks for the axis across which the noise is white.
    scan_noise : {"remove", "keep"}
        `remove`: the line of row offsets is noise, priced by the model; `keep`: its excess over
        the neighbouring frequencies is signal.

    Returns
    -------
    NoiseModel
    """
    frames = list(frames)
    largest = max(float(bound) for frame in frames for bound in (frame.max(), -frame.min()))
    if min(frames[0].shape) < SMALLEST or all(np.ptp(frame) == 0 for frame in frames):
        return NoiseModel("none")
    first: Literal["x", "y"] = "y" if scan_axis == "y" else "x"
    along = cache(partial(_along, frames))  # an axis is asked for up to twice
    found = along(first)
    if scan_axis == "auto" and (_correlated(found) or found.kind == "white"):
        other = along("y")
        if not _correlated(other) and (other.kind == "row" or _correlated(found)):
            found = other
    if found.variance <= (LEAST * largest) ** 2:
        return NoiseModel("none", found.scan_axis)
    if _correlated(found):
        found = _separable(found, along("y" if found.scan_axis == "x" else "x"))
    found = _plausible(found, frames)
    return found if scan_noise == "remove" else _row_offsets_kept(found)


def _plausible(model: NoiseModel, frames: list[FloatArray]) -> NoiseModel:
    """No noise has more power than its image, and a single pixel's spectrum is not the noise's."""
    power = highest = 0.0
    for frame in frames:
        mean = frame.mean(dtype=np.float64)
        for block in np.array_split(frame, -(-frame.size // BLOCK)):
            squares = np.square(block - mean, dtype=np.float64)
            power += float(squares.sum())
            highest = max(highest, float(squares.max()))
    if model.variance > MOST * power / sum(frame.size for frame in frames):
        return NoiseModel("none", model.scan_axis)
    return replace(model, certain=model.certain and highest < ONE_PIXEL * power)


def _along(frames: list[FloatArray], axis: Literal["x", "y"]) -> NoiseModel:
    """The model that takes the noise for white across an axis: `white` or `row`."""
    turned = [frame if axis == "x" else frame.T for frame in frames]
    spectra = Spectra.joined(Spectra.of(frame) for frame in turned)
    limit = spectra.information_limit()
    alone = spectra.noise_alone(limit)
    rows = len(alone.across)
    if rows < FEWEST_ROWS:
        return NoiseModel("none", axis)
    medians = alone.median()
    power, kind = _white_or_not(medians, rows)
    if not power.all():  # whole lines of the spectrum are empty: nothing there is noise
        return NoiseModel("none", axis)
    if kind == "row":
        power = _without_edges(power, turned, limit)
    if limit < UPPERMOST:
        power = power * evenness(turned, limit, alone)
    return NoiseModel(
        kind,
        axis,
        variance=float(power.mean()),
        along=power.tolist(),
        information_limit=limit,
        correlation_across=spectra.correlation_across(power),
        relative_error=MEDIAN_SD / float(np.sqrt(rows)),
        certain=limit < UPPERMOST,
    )


def _without_edges(power: Float64, frames: list[FloatArray], limit: float) -> Float64:
    """The spectrum where most of the image's rows have it, too: edges are not streaks."""
    shapes = [shape for frame in frames if (shape := steady_shape(frame, limit)) is not None]
    if not shapes:
        return power
    level = np.exp(np.log(power[len(power) // 2 :]).mean())
    steady = level * np.mean(shapes, axis=0)
    return np.where(power > EDGES * steady, steady, power)


def _floored(power: Float64) -> Float64:
    return np.maximum(power, FLOOR * np.quantile(power, TYPICAL))


def _white_or_not(medians: Float64, rows: int) -> tuple[Float64, NoiseKind]:
    """The smoothed spectrum, flat if its errors explain all deviations from its mean."""
    floored = _floored(medians)
    if not floored.all():
        return floored, "white"
    logs = np.log(floored)
    level = float(logs.mean())
    edges = np.unique(np.geomspace(1, len(logs), 12).astype(int))
    bands = np.split(logs, edges[:-1])
    error = MEDIAN_SD / np.sqrt(rows)
    deviations = [abs(band.mean() - level) * np.sqrt(len(band)) / error for band in bands]
    if max(deviations) < COLOURED:
        return np.full(len(logs), float(np.exp(level))), "white"
    return smoothed(floored, rows), "row"


def _correlated(model: NoiseModel) -> bool:
    return model.correlation_across is not None and abs(model.correlation_across) > CORRELATED


def _separable(model: NoiseModel, turned: NoiseModel) -> NoiseModel:
    """Both spectra, each measured in the other direction's high frequencies."""
    if not turned.along:
        return model
    # Resampled images have next to nothing at the highest frequencies.
    along, across = (_floored(np.array(power)) for power in (model.along, turned.along))
    frequencies = np.arange(len(along)) / (2 * len(along))
    beyond = frequencies >= max(0.15, (turned.information_limit or 0.0) + 0.01)
    level = float(np.exp(np.log(along[beyond]).mean()))
    factor = across / level
    steep = max(along.max() / along.min(), factor.max() / factor.min()) > STEEP
    return replace(
        model,
        kind="separable",
        along=along.tolist(),
        variance=float(along.mean() * factor.mean()),
        across=factor.tolist(),
        certain=model.certain and turned.certain and not steep,
    )


def _row_offsets_kept(model: NoiseModel) -> NoiseModel:
    """The line of row offsets priced as its neighbours are."""
    if not model.along:
        return model
    along = np.array(model.along)
    along[0] = min(along[0], float(np.exp(np.log(along[NEIGHBOURS]).mean())))
    return replace(model, along=along.tolist())
