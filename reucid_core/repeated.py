"""How good denoised frames are when there is no truth, but several frames of the same.

The noise of one frame is no guide to that of another, so how far a denoised frame lies from the
others, less what noise these have, is its distance from the truth (Marcos-Morales et al.,
"Evaluating unsupervised denoising requires unsupervised metrics", arXiv 2210.05553).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.errors import ImageError

Float64 = NDArray[np.float64]

FEWEST = 3  # frames: one denoised, two whose difference tells the noise
SMOOTH = 1.5  # px, standard deviation by which frames are smoothed to find how they drifted
FURTHEST = 4  # part of the shorter side that frames drift at most
BORDER = 8  # px beside the drift that a shift by parts of a pixel reaches round the torus
PEAK = (0.1, 99.9)  # percentiles of the mean frame between which its intensity lies


@dataclass(frozen=True)
class Score:
    """Of denoised frames.

    Parameters
    ----------
    psnr : float or None
        Unsupervised PSNR in dB; None where the frames are too few to tell any error.
    error : float or None
        Its standard error in dB, from the spread between the frames.
    """

    psnr: float | None
    error: float | None


@dataclass(frozen=True)
class Repeated:
    """Frames of the same, brought to where the first one is.

    Parameters
    ----------
    frames : ndarray, shape (k, m, n), float64
        Shifted.
    drift : ndarray, shape (k, 2), float64
        By how much in px, down and to the right, each frame lies from the first.
    """

    frames: Float64
    drift: Float64

    @classmethod
    def of(cls, frames: NDArray[np.generic], *, align: bool = True) -> "Repeated":
        """Align frames by the maximum of their cross-correlation.

        Parameters
        ----------
        frames : ndarray, shape (k, m, n), integer or floating
            At least three, each with noise of its own.
        align : bool

        Raises
        ------
        ImageError
            When there are fewer than three frames, or they differ too little to be noisy.
        """
        if frames.ndim != 3 or len(frames) < FEWEST:
            raise ImageError(
                f"got frames of shape {frames.shape}, expected at least {FEWEST} of the same: one "
                "to denoise, and two whose difference tells the noise"
            )
        raw = frames.astype(np.float64)
        if np.ptp(raw, axis=0).max() == 0:
            raise ImageError("the frames are equal: expected frames with noise of their own")
        drift = _drift(raw) if align else np.zeros((len(raw), 2))
        return cls(
            np.stack([shifted(frame, -by) for frame, by in zip(raw, drift, strict=True)]), drift
        )

    @property
    def noise(self) -> float:
        """Standard deviation of a frame's noise, from the differences between frames."""
        rows, columns = self._inside
        return float(np.sqrt(self.frames[:, rows, columns].var(axis=0, ddof=1).mean()))

    @property
    def peak(self) -> float:
        """Range of intensity that PSNR refers to."""
        mean = scipy.ndimage.gaussian_filter(self.frames.mean(axis=0), SMOOTH)
        low, high = np.percentile(mean[self._inside], PEAK)
        return float(high - low)

    def score(self, denoised: Sequence[NDArray[np.floating]]) -> Score:
        """Compare each denoised frame with all other noisy ones.

        Parameters
        ----------
        denoised : sequence of ndarray, shape (m, n)
            Of the frames before they were aligned, in their order.
        """
        errors = np.array(
            [
                self._error(number, shifted(image.astype(np.float64), -self.drift[number]))
                for number, image in enumerate(denoised)
            ]
        )
        mean = float(errors.mean())
        if mean <= 0:
            return Score(None, None)
        spread = float(errors.std(ddof=1)) / np.sqrt(len(errors))
        decibel = 10 / np.log(10) * spread / mean
        return Score(float(10 * np.log10(self.peak**2 / mean)), float(decibel))

    def _error(self, number: int, image: Float64) -> float:
        """Mean squared error of a denoised frame.

        Its distance from the mean of the others, less the variance of that mean.
        """
        rows, columns = self._inside
        others = np.delete(self.frames[:, rows, columns], number, axis=0)
        distance = np.square(image[rows, columns] - others.mean(axis=0)).mean()
        return float(distance - others.var(axis=0, ddof=1).mean() / len(others))

    @property
    def _inside(self) -> tuple[slice, slice]:
        """Where all frames are, and none has come round the torus."""
        margins = np.ceil(np.abs(self.drift).max(axis=0)).astype(int)
        margins += BORDER * (margins > 0)
        rows, columns = (
            slice(int(margin), side - int(margin))
            for margin, side in zip(margins, self.frames.shape[1:], strict=True)
        )
        return rows, columns


def shifted(image: Float64, by: Float64) -> Float64:
    """Moved by parts of pixels, down and to the right, round the torus, shape (m, n).

    By the phases of its Fourier transform: what is white stays white, of the same variance.
    """
    if not np.any(by):
        return image
    m, n = image.shape
    angle = scipy.fft.fftfreq(m)[:, None] * by[0] + scipy.fft.rfftfreq(n) * by[1]
    moved: Float64 = scipy.fft.irfft2(
        scipy.fft.rfft2(image) * np.exp(-2j * np.pi * angle), s=image.shape
    )
    return moved


def _drift(frames: Float64) -> Float64:
    """Of each frame from the first: against it, then against the mean of all others."""
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in frames.shape[1:]))

    def spectrum(image: Float64) -> NDArray[np.complex128]:
        smooth = scipy.ndimage.gaussian_filter(image, SMOOTH)
        return np.asarray(scipy.fft.rfft2((smooth - smooth.mean()) * window))

    first = spectrum(frames[0])
    found = np.array([_offset(first, spectrum(frame), window.shape) for frame in frames])
    moved = np.stack([shifted(frame, -by) for frame, by in zip(frames, found, strict=True)])
    total = moved.sum(axis=0)
    for number, frame in enumerate(moved):  # the window draws offsets towards none: of what is left
        others = spectrum((total - frame) / (len(frames) - 1))
        found[number] += _offset(others, spectrum(frame), window.shape)
    return np.asarray(found - found[0])


def _offset(
    one: NDArray[np.complex128], other: NDArray[np.complex128], shape: tuple[int, ...]
) -> tuple[float, float]:
    """Of the other from the one, in px: where their correlation is highest."""
    correlation = scipy.fft.irfft2(one.conj() * other, s=shape)
    furthest = min(shape) // FURTHEST
    down, right = (np.abs(scipy.fft.fftfreq(side, 1 / side)) <= furthest for side in shape)
    allowed = np.where(np.outer(down, right), correlation, -np.inf)
    peak = np.unravel_index(np.argmax(allowed), shape)
    offsets = []
    for axis, (at, side) in enumerate(zip(peak, shape, strict=True)):
        line = np.take(correlation, peak[1 - axis], axis=1 - axis)
        before, middle, after = (float(line[(int(at) + step) % side]) for step in (-1, 0, 1))
        bend = before - 2 * middle + after
        between = 0.5 * (before - after) / bend if bend < 0 else 0.0
        place = int(at) if 2 * int(at) <= side else int(at) - side
        offsets.append(place + between)
    return offsets[0], offsets[1]
