"""What a residual should be, and whether one is: noise as it was measured, and nothing else."""

from dataclasses import dataclass

import numpy as np

from reucid_core.assessment import BLURRED, HARDLY_ANY, Look
from reucid_core.eigenpatches import FloatArray
from reucid_core.noise import NoiseModel, estimate_noise
from reucid_core.whitening import Whitening

TOO_MUCH = 1.1  # of the noise's variance: a residual that has more holds more than noise


@dataclass(frozen=True)
class ResidualVerdict:
    """Whether a residual is what noise would leave.

    Parameters
    ----------
    noise : NoiseModel
        As measured in the image, else in the residual.
    share : float or None
        Variance of the residual over that of the noise; None where no image was given.
    look : Look or None
        At the whitened residual; None where no noise can be told.
    """

    noise: NoiseModel
    share: float | None
    look: Look | None

    @property
    def doubts(self) -> list[str]:
        """What is suspicious, in words; none if it is as expected."""
        if self.look is None:
            return ["what nothing was expected of, for no noise could be measured"]
        told = []
        if self.look.structure > self.look.bound:
            told.append(
                "structure that repeats and is not the noise's: the highest peak of the whitened "
                f"spectrum is {self.look.structure:.1f} times its surroundings, noise stays below "
                f"{self.look.bound:.1f} (99 %)"
            )
        if self.share is not None and self.share > TOO_MUCH:
            told.append(f"more than noise: {self.share:.2f} times the variance of the image's")
        if self.share is not None and self.share < HARDLY_ANY:
            told.append(f"little of the noise: {100 * self.share:.0f} % of the image's")
        if self.look.finest_kept is not None and self.look.finest_kept < BLURRED:
            told.append(
                f"detail of {self.look.finest:.1f} px: the result kept "
                f"{100 * self.look.finest_kept:.0f} % of it"
            )
        return told

    @property
    def expectation(self) -> str:
        """What noise there is, in words."""
        kinds = {
            "white": "white",
            "row": f"correlated along {self.noise.scan_axis}",
            "separable": "correlated in both directions",
        }
        if self.look is None:
            return "noise that cannot be told"
        return (
            f"noise that is {kinds[self.noise.kind]}, {self.noise.next_pixel:.2f} with the next "
            "pixel along the scan"
        )


def judge_residual(residual: FloatArray, noisy: FloatArray | None = None) -> ResidualVerdict:
    """Tell whether a residual is what noise would leave.

    Parameters
    ----------
    residual : ndarray, shape (m, n), float32 or float64
    noisy : ndarray, shape (m, n), optional
        What was denoised. Without it the noise is measured in the residual itself, and nothing is
        said of how much of it was removed.
    """
    noise = estimate_noise([residual if noisy is None else noisy])
    if noise.kind == "none":
        return ResidualVerdict(noise, None, None)
    whitening = Whitening.of(noise)
    whitened = whitening.whiten(residual)
    if noisy is None:
        look = Look.at(np.zeros_like(whitened), whitened)
        return ResidualVerdict(noise, None, Look(look.structure, look.bound, None, None))
    share = float(whitened.var(dtype=np.float64))
    return ResidualVerdict(noise, share, Look.at(whitening.whiten(noisy) - whitened, whitened))
