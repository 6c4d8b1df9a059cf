"""Small jobs whose one right result is known beforehand."""

import hashlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core import DenoiseParams, denoise, denoise_frames
from reucid_core.classifier import load_classifier

SIZE = 32  # px
PARAMS: list[dict[str, Any]] = [
    {"method": "paper", "patch_size": 5},
    {"method": "paper", "patch_size": 5, "stacks": 3, "components": 6},
]


@dataclass(frozen=True)
class Case:
    """A file, parameters, and the SHA-256 of the `result.npy` they make."""

    content: bytes
    params: str  # JSON
    sha256: str


def cases(count: int, model: Path | None = None) -> list[Case]:
    """Different ones, the same every time."""
    classify = load_classifier(model)
    made = []
    for n in range(count):
        pixels, params = lattice(n), PARAMS[n % len(PARAMS)]
        result = denoise(pixels, DenoiseParams(**params, threads=1), classify=classify)
        digest = hashlib.sha256(npy(result.image)).hexdigest()
        made.append(Case(npy(pixels), json.dumps(params), digest))
    return made


def stacks(count: int, frames: int) -> list[Case]:
    """Different stacks, the same every time; of the noise-floor rule, so without a model."""
    made = []
    for n in range(count):
        pixels = np.stack([lattice(100 * n + frame) for frame in range(frames)])
        results = denoise_frames(pixels, DenoiseParams(threads=1))
        images = np.stack([each.image for each in results])
        made.append(Case(npy(pixels), "{}", hashlib.sha256(npy(images)).hexdigest()))
    return made


def lattice(seed: int) -> NDArray[np.uint16]:
    """A noisy lattice."""
    rows, columns = np.mgrid[:SIZE, :SIZE]
    mean = 20 + 10 * np.cos(rows / 1.5) * np.cos(columns / 1.5)
    return np.random.default_rng(seed).poisson(mean).astype(np.uint16)


def npy(pixels: NDArray[Any]) -> bytes:
    """The bytes of an .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, pixels)
    return buffer.getvalue()
