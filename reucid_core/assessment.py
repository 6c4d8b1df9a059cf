"""What can be said of a result without a truth."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
import scipy.ndimage

from reucid_core.eigenpatches import FloatArray

FALSE_ALARM = 0.01  # probability that the residual of noise alone exceeds the bound
WIDEN = 1.25  # of the bound, for the mean around a peak is estimated (measured)
AROUND = 15  # frequencies on each side whose mean a peak is compared with
HARDLY_ANY = 0.5  # of the noise: a result from which less was removed says so


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
    """

    noise_removed: float
    gain: float
    structure: float
    bound: float

    @property
    def suspicious(self) -> bool:
        """Whether the result is not to be handed over without a word."""
        return self.noise_removed < HARDLY_ANY or self.structure > self.bound

    @property
    def sentences(self) -> list[str]:
        """In words."""
        told = [f"{100 * self.noise_removed:.0f} % of the noise is gone"]
        if self.noise_removed < HARDLY_ANY:
            told.append("hardly any noise could be told from signal")
        if self.structure > self.bound:
            told.append("the residual holds structure that repeats: signal may have been removed")
        else:
            told.append("nothing that repeats is left in the residual")
        return told


def structure_in(residual: FloatArray) -> tuple[float, float]:
    """Highest peak of a whitened residual's spectrum over its surroundings, and its bound."""
    window = np.outer(*(np.hanning(length + 2)[1:-1] for length in residual.shape))
    centred = (residual - residual.mean(dtype=np.float64)) * window
    power = np.abs(scipy.fft.rfft2(centred)) ** 2
    around = scipy.ndimage.uniform_filter(power, AROUND, mode="reflect")
    share = 1 / AROUND**2
    around = (around - share * power) / (1 - share)  # without the peak itself
    relative = power / np.maximum(around, np.finfo(np.float64).tiny)
    relative[:2, :2] = relative[-1:, :2] = 0.0  # what the window smears around zero frequency
    return float(relative.max()), float(WIDEN * np.log(residual.size / FALSE_ALARM))
