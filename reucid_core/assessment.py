"""What can be said of a result without a truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage
from numpy.typing import NDArray

from reucid_core.eigenpatches import FloatArray

FALSE_ALARM = 0.01  # probability that the residual of noise alone exceeds the bound
WIDEN = 1.25  # of the bound, for the mean around a peak is estimated (measured)
AROUND = 15  # frequencies on each side whose mean a peak is compared with
HARDLY_ANY = 0.5  # of the noise: a result from which less was removed says so
CLEAR = 4.0  # times the bound: what barely exceeds it does so with the help of noise
FINEST = 0.9  # of the highest frequency that stands out: from there on detail is the finest
MIDDLE = 256  # px, side of the part of an image of one scale that is looked at
BLURRED = 0.7  # of the finest detail's amplitude: a result that keeps less says so


@dataclass(frozen=True)
class ColumnBias:
    """How much of small changes in single columns a denoising keeps.

    Parameters
    ----------
    columns : int
        That were looked at.
    intensity_kept : float
        Share of a change in a column's intensity that the result shows: 1 without bias.
    intensity_error : float
        Standard deviation of all else that changes, as a share of the column's intensity.
    position_kept : float
        Share of a change in a column's position.
    position_error : float
        Standard deviation of all else, px.
    """

    columns: int
    intensity_kept: float
    intensity_error: float
    position_kept: float
    position_error: float

    @property
    def sentence(self) -> str:
        """In words."""
        intensity, position = (
            round(100 * min(max(kept, 0.0), 1.0))
            for kept in (self.intensity_kept, self.position_kept)
        )
        return (
            f"of small changes in single columns the result shows {intensity} % in intensity and "
            f"{position} % in position; beside that their intensities are good to "
            f"{100 * self.intensity_error:.1f} %, their positions to {self.position_error:.2f} px "
            f"({self.columns} columns)"
        )


@dataclass(frozen=True)
class Assessment:
    """How much of the noise is gone, and whether structure went with it.

    Parameters
    ----------
    noise_removed : float
        Share of the noise's degrees of freedom, in [0, 1].
    gain : float
        Estimated, in dB: the noise's power over that of what is left of it. What the filter does
        to the signal does not count.
    structure : float
        Highest peak of the whitened residual's spectrum over its surroundings.
    bound : float
        That it exceeds in one of a hundred residuals without structure.
    finest : float or None
        Period in px of the finest detail that stands out of the noise; None where nothing does.
    finest_kept : float or None
        Share of its amplitude that the result has.
    columns : ColumnBias or None
        If it was asked for and there are any.
    """

    noise_removed: float
    gain: float
    structure: float
    bound: float
    finest: float | None = None
    finest_kept: float | None = None
    columns: ColumnBias | None = None

    @property
    def suspicious(self) -> bool:
        """Whether the result is not to be handed over without a word."""
        return bool(self.doubts)

    @property
    def doubts(self) -> list[str]:
        """What is wrong with the result, in words."""
        told = []
        if self.noise_removed < HARDLY_ANY:
            told.append(
                f"only {100 * self.noise_removed:.0f} % of the noise is gone: hardly any could be "
                "told from signal"
            )
        if self.structure > self.bound:
            told.append("the residual holds structure that repeats: signal may have been removed")
        if self.finest_kept is not None and self.finest_kept < BLURRED:
            told.append(f"detail was lost: {self._of_detail}")
        return told

    @property
    def sentences(self) -> list[str]:
        """The verdict in words, the doubts first."""
        told = self.doubts
        if self.noise_removed >= HARDLY_ANY:
            told.append(f"{100 * self.noise_removed:.0f} % of the noise is gone")
        if self.structure <= self.bound:
            told.append("nothing that repeats is left in the residual")
        if self.finest_kept is not None and self.finest_kept >= BLURRED:
            told.append(self._of_detail)
        if self.columns is not None:
            told.append(self.columns.sentence)
        return told

    @property
    def _of_detail(self) -> str:
        kept = min(max(self.finest_kept or 0.0, 0.0), 1.0)
        return (
            f"the finest detail that stands out of the noise, of {self.finest:.1f} px, is kept to "
            f"{100 * kept:.0f} %"
        )


@dataclass(frozen=True)
class Look:
    """What the spectra of a result and its residual show.

    Parameters
    ----------
    structure, bound, finest, finest_kept : float or None
        As in `Assessment`.
    """

    structure: float
    bound: float
    finest: float | None
    finest_kept: float | None

    @classmethod
    def at(cls, result: FloatArray, residual: FloatArray) -> "Look":
        """At a result and its residual, both whitened, shape (m, n)."""
        window = np.outer(*(np.hanning(length + 2)[1:-1] for length in residual.shape))
        left, shown = (_spectrum(image, window) for image in (residual, result))
        noisy = left + shown
        height, bound = _structure(np.abs(left) ** 2, residual.size)
        power = np.abs(noisy) ** 2
        level = float(np.square(window).sum())  # that of white noise of variance 1
        ky = scipy.fft.fftfreq(residual.shape[0])[:, None]
        frequency = np.hypot(ky, scipy.fft.rfftfreq(residual.shape[1]))
        clear = power > CLEAR * bound * level
        clear[:2, :2] = clear[-1:, :2] = False
        if not clear.any():
            return cls(height, bound, None, None)
        finest = clear & (frequency >= FINEST * frequency[clear].max())
        kept = float((shown * noisy.conj()).real[finest].sum() / power[finest].sum())
        strongest = frequency[finest][np.argmax(power[finest])]
        return cls(height, bound, float(1 / strongest), kept)

    @classmethod
    def together(cls, looks: Sequence["Look"]) -> "Look":
        """At several parts of an image: the worst structure, the finest detail."""
        finest = min(looks, key=lambda look: look.finest or np.inf)
        return cls(
            max(look.structure for look in looks),
            max(look.bound for look in looks) + WIDEN * float(np.log(len(looks))),
            finest.finest,
            finest.finest_kept,
        )


def assess_one_scale(result: FloatArray, noisy: FloatArray, passed: float) -> Assessment:
    """What can be said where no noise was measured: structure is looked for in the middle alone.

    Parameters
    ----------
    result, noisy : ndarray, shape (m, n)
    passed : float
        Share of the degrees of freedom that the kept eigenpatches let through.
    """
    rows, columns = (
        slice(max(0, (side - MIDDLE) // 2), (side + MIDDLE) // 2) for side in result.shape
    )
    residual = noisy[rows, columns].astype(np.float64) - result[rows, columns]
    height, bound = structure_in(residual, streaks=True)
    passed = max(passed, float(np.finfo(np.float64).tiny))
    return Assessment(1 - passed, float(-10 * np.log10(passed)), height, bound)


def structure_in(residual: FloatArray, *, streaks: bool = False) -> tuple[float, float]:
    """Highest peak of a residual's spectrum over its surroundings, and its bound.

    With `streaks` the lines of row and column offsets count as noise, which was not whitened.
    """
    window = np.outer(*(np.hanning(length + 2)[1:-1] for length in residual.shape))
    power = np.abs(_spectrum(residual, window)) ** 2
    if streaks:
        power[:2] = power[-1:] = 0.0
        power[:, :2] = 0.0
    return _structure(power, residual.size)


def _spectrum(image: FloatArray, window: FloatArray) -> NDArray[np.complexfloating]:
    centred = (image - image.mean(dtype=np.float64)) * window
    spectrum: NDArray[np.complexfloating] = scipy.fft.rfft2(centred)
    return spectrum


def _structure(power: FloatArray, size: int) -> tuple[float, float]:
    around = scipy.ndimage.uniform_filter(power, AROUND, mode="reflect")
    share = 1 / AROUND**2
    around = (around - share * power) / (1 - share)  # without the peak itself
    relative = power / np.maximum(around, np.finfo(np.float64).tiny)
    relative[:2, :2] = relative[-1:, :2] = 0.0  # what the window smears around zero frequency
    return float(relative.max()), float(WIDEN * np.log(size / FALSE_ALARM))
