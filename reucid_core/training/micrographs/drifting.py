"""A specimen that drifts under a scanning probe: frame after frame of it, seeded."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.training.micrographs import fields
from reucid_core.training.micrographs.rendering import render
from reucid_core.training.micrographs.scan_spectra import WHITE, ScanSpectrum
from reucid_core.training.micrographs.simulate import READ_NOISE, FloatImage, View, detect

ROOM = 48  # px, through which the specimen drifts and back
COUNTS_PER_ELECTRON = 100.0
BLACK_LEVEL = 500.0  # counts


@dataclass(frozen=True, kw_only=True)
class Drifting:
    """Frames of a simulated specimen.

    Parameters
    ----------
    material, variant : str
        As of `fields.field`.
    shape : (int, int)
        Of a frame, (m, n) in px.
    drift : (float, float)
        From frame to frame along y and x, in px.
    dose : float
        Electrons counted per A^2 where the truth is 1, in each frame.
    spectrum : ScanSpectrum
        Of the noise along the rows.
    sampling : float
        Side of a pixel in angstrom.
    rotation : float
        Of the specimen in degrees.
    read_noise : float
        Relative to the truth's maximum.
    seed : int
        Of the noise: that of a frame depends on its number alone.
    """

    material: str = "Si[110]"
    variant: str = fields.PERFECT
    shape: tuple[int, int] = (512, 512)
    drift: tuple[float, float] = (0.3, 0.4)
    dose: float = 100.0
    spectrum: ScanSpectrum = WHITE
    sampling: float = 0.2
    rotation: float = 7.0
    read_noise: float = READ_NOISE
    seed: int = 0

    def truth(self, number: int) -> FloatImage:
        """What a frame shows, shape (m, n), float64, peak about 1."""
        offset = [_there_and_back(number * step) for step in self.drift]
        seen = scipy.ndimage.affine_transform(
            self._specimen,
            np.ones(2),
            offset=offset,
            output_shape=self.shape,
            order=3,
            prefilter=False,
        )
        return np.maximum(np.asarray(seen), 0.0)

    def noisy(self, number: int) -> FloatImage:
        """What is detected of it, shape (m, n), float64, in units of the truth."""
        truth = self.truth(number)
        rng = np.random.default_rng([self.seed, number])
        counted = detect(
            truth, dose=self.dose, sampling=self.sampling, rng=rng, read_noise=self.read_noise
        )
        if self.spectrum == WHITE:
            return counted
        return truth + self.spectrum.coloured(counted - truth, rng)

    def counts(self, number: int) -> NDArray[np.uint16]:
        """The same as a detector shows it, shape (m, n)."""
        shown = np.rint(self.in_counts(self.noisy(number)))
        return shown.clip(0, np.iinfo(np.uint16).max).astype(np.uint16)

    def in_counts(self, image: FloatImage) -> FloatImage:
        """An image in units of the truth as the detector would show it if it never rounded."""
        return BLACK_LEVEL + COUNTS_PER_ELECTRON * self.dose * self.sampling**2 * image

    @cached_property
    def _specimen(self) -> FloatImage:
        """Coefficients of the spline through all that will be seen."""
        m, n = (side + ROOM + 2 for side in self.shape)
        view = View(
            shape=(m, n), sampling=self.sampling, fwhm=0.9, rotation=self.rotation, shift=(0.3, 0.1)
        )
        truth = render(fields.field(self.material, self.variant), view)
        return np.asarray(scipy.ndimage.spline_filter(truth, order=3, output=np.float64))


def _there_and_back(distance: float) -> float:
    """A place within `ROOM` after so long a way."""
    way = abs(distance) % (2 * ROOM)
    return min(way, 2 * ROOM - way)
