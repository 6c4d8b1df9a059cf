"""Crystals with known defects, columns and distortions, for methods that see an image alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.training.judging.methods import Told
from reucid_core.training.judging.rivals import Noise
from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.crystals import CRYSTALS
from reucid_core.training.micrographs.defects import ACROSS_STEP, DEFECTS, POINT
from reucid_core.training.micrographs.rendering import nearest_change, render_both
from reucid_core.training.micrographs.scan_spectra import WHITE, ScanSpectrum
from reucid_core.training.micrographs.simulate import (
    READ_NOISE,
    Columns,
    RowNoise,
    View,
    detect,
    expose,
    place_columns,
    scan,
    shine,
)

Float64 = NDArray[np.float64]

SIDE, SAMPLING = 256, 0.2  # px, angstrom
DIMMED = 0.5  # of a column's weight
FWHM = 0.9  # angstrom
PLACES = [(0.27, 0.31), (0.29, 0.71), (0.71, 0.27), (0.68, 0.69)]  # of the field's height and width
MIDDLE = (0.51, 0.48)
AROUND = 5.0  # angstrom around a defect, in which errors are its
DISPLACED, UNEVEN = 0.08, 0.10  # angstrom and share of the weight, standard deviations
BOW, JITTER = 4.0, 0.3  # px
DISTORTIONS: dict[str, dict[str, Any]] = {
    "none": {},
    "2 px of drift": {"drift": (0.0, 2 / SIDE)},
    "2 % shear": {"strain": (0.0, 0.0, 0.02)},
    "bent": {},
    "jitter": {},
}

SPECTRA = {
    "white": WHITE,
    "as measured": ScanSpectrum(decay=0.39, next_pixel=0.69, streaks=0.02, length=50.0),
    "decay": ScanSpectrum(decay=1.0, next_pixel=0.5),
    "streaks": ScanSpectrum(streaks=0.25, length=33.0),
}


@dataclass(frozen=True)
class Scene:
    """A crystal with defects, and the same without; in angstrom and px as the view has it.

    Parameters
    ----------
    truth, pristine : ndarray, shape (m, n)
    near : ndarray, shape (m, n), bool
        What is near the defects.
    """

    truth: Float64
    pristine: Float64
    near: NDArray[np.bool_]

    @property
    def change(self) -> Float64:
        """What the defects change, near them, shape (m, n)."""
        return np.where(self.near, self.truth - self.pristine, 0.0)

    def contrast(self, image: Float64, without: Float64 | None = None) -> float:
        """Share of what the defects change that survives, against the truth without them.

        Or against what a method makes of the same noise without them: then neither noise nor what
        happens to the lattice counts.
        """
        reference = self.pristine if without is None else without
        change = self.change
        return float(np.sum((image - reference) * change) / np.sum(change**2))

    def psnr_near(self, image: Float64) -> float:
        """Of the pixels near the defects, in dB, with the range of the whole truth."""
        error = float(np.mean((image - self.truth)[self.near] ** 2))
        return float(10 * np.log10(np.ptp(self.truth) ** 2 / error))

    def seen(
        self, dose: float, spectrum: ScanSpectrum, seed: Sequence[int]
    ) -> tuple[Float64, Told]:
        """A noisy micrograph of it, and what a rival is told of the noise."""
        rng = np.random.default_rng(seed)
        counted = detect(self.truth, dose=dose, sampling=SAMPLING, rng=rng, read_noise=READ_NOISE)
        image = self.truth + spectrum.coloured(counted - self.truth, rng)
        noise = Noise(gain=1 / (dose * SAMPLING**2), read=READ_NOISE)
        return image, Told(noise, spectrum, self.truth)


def dimmed(material: str, *, turned: float = 7.0, side: int = SIDE, gain: float = DIMMED) -> Scene:
    """A crystal by multislice, slightly turned, with eight changed columns; side x side px."""
    view = View(shape=(side, side), sampling=SAMPLING, fwhm=FWHM, rotation=turned, shift=(0.3, 0.1))
    crystal, extent = fields.field(material), side * SAMPLING
    changes = [
        nearest_change(crystal, view, (y * extent, (x + 0.1 * (y - 0.5)) * extent), gain)
        for y in (0.17, 0.39, 0.61, 0.83)
        for x in (0.3, 0.7)
    ]
    truth, pristine = render_both(crystal, view, changes)
    return Scene(truth, pristine, truth != pristine)


def perfect(material: str, seed: int) -> Scene:
    """A crystal by multislice without any defect, turned and shifted at random."""
    rng = np.random.default_rng([seed, 6])
    view = View(
        shape=(SIDE, SIDE),
        sampling=SAMPLING,
        fwhm=FWHM,
        rotation=rng.uniform(0, 360),
        shift=(rng.random(), rng.random()),
    )
    truth, _ = render_both(fields.field(material), view)
    return Scene(truth, truth, np.zeros(truth.shape, dtype=bool))


def defective(crystal: str, kind: str) -> Scene:
    """A crystal with four point defects of a kind, or with one dislocation or step edge."""
    view = View(shape=(SIDE, SIDE), sampling=SAMPLING, fwhm=FWHM, rotation=7.0)
    specimen = CRYSTALS[crystal]
    places = [view.extent * each for each in (PLACES if kind in POINT else [MIDDLE])]
    columns = without = place_columns(specimen, view)
    for place in places:
        columns = DEFECTS[kind](columns, place, specimen, view)
    truth, pristine = shine(columns, view), shine(without, view)
    pixels = SAMPLING * np.moveaxis(np.indices(truth.shape), 0, -1)
    if kind == "step edge":
        near = np.abs((pixels - places[0]) @ ACROSS_STEP) < AROUND
    else:
        near = np.any([np.linalg.norm(pixels - each, axis=-1) < AROUND for each in places], axis=0)
    return Scene(truth / truth.max(), pristine / truth.max(), near)


@dataclass(frozen=True)
class Ideal:
    """The columns of a crystal before anything happens to them."""

    columns: Columns
    view: View


def uneven(crystal: str, seed: int) -> tuple[Ideal, Scene]:
    """A crystal whose columns differ at random, in weight by 10 % and in place by 8 pm."""
    rng = np.random.default_rng([seed, 8])
    view = View(shape=(SIDE, SIDE), sampling=SAMPLING, fwhm=FWHM, rotation=7.0)
    perfect_ones = place_columns(CRYSTALS[crystal], view)
    n = len(perfect_ones.weights)
    columns = Columns(
        perfect_ones.positions + rng.normal(0, DISPLACED, (n, 2)),
        perfect_ones.weights * np.maximum(rng.normal(1, UNEVEN, n), 0.3),
    )
    truth, pristine = shine(columns, view), shine(perfect_ones, view)
    peak = truth.max()
    return Ideal(perfect_ones, view), Scene(
        truth / peak, pristine / peak, np.ones(truth.shape, dtype=bool)
    )


def distorted(crystal: str, how: str) -> Scene:
    """A perfect crystal drifted, sheared, bent by a drift that changes, or jittered by rows."""
    view = View(shape=(SIDE, SIDE), sampling=SAMPLING, fwhm=FWHM, rotation=7.0)
    view = replace(view, **DISTORTIONS[how])
    truth = expose(place_columns(CRYSTALS[crystal], view), view)
    if how == "bent":
        y, x = np.indices(truth.shape, dtype=np.float64)
        bow = BOW * (2 * y / SIDE - 1) ** 2
        truth = scipy.ndimage.map_coordinates(truth, [y, x + bow], order=3, mode="mirror")
    if how == "jitter":
        truth, _ = scan(truth, RowNoise(jitter=JITTER), rng=np.random.default_rng(9))
    return Scene(truth, truth, np.ones(truth.shape, dtype=bool))
