"""REUCID: denoising of low-dose micrographs by classified eigenpatches.

Arrays in, arrays out: no files, no network, no web or queue library. The classifier, which needs
torch, lives in `reucid_core.classifier` and is not imported here.

Source: Mitchell, Sanvito, Jones, Sci. Rep. (2025), "Rapid eigenpatch utility classifier for image
denoising". Survey data: DOI 10.5281/zenodo.13930575.
"""

from reucid_core.eigenpatches import Decomposition
from reucid_core.errors import (
    ImageError,
    MemoryBudgetError,
    ModelError,
    ParameterError,
    ReucidError,
)
from reucid_core.frames import denoise_frames
from reucid_core.noise import NoiseModel, estimate_noise
from reucid_core.noise_floor import noise_floor
from reucid_core.params import DenoiseParams
from reucid_core.pipeline import Progress, Result, denoise
from reucid_core.report import Report, StackReport

__all__ = [
    "Decomposition",
    "DenoiseParams",
    "ImageError",
    "MemoryBudgetError",
    "ModelError",
    "NoiseModel",
    "ParameterError",
    "Progress",
    "Report",
    "Result",
    "ReucidError",
    "StackReport",
    "denoise",
    "denoise_frames",
    "estimate_noise",
    "noise_floor",
]
