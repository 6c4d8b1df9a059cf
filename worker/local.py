"""The same work without a server, for the command line."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core import DenoiseParams, Progress, Result, denoise
from reucid_core.classifier import load_classifier
from worker import decoder, formats
from worker.contract import ImageInfo, Limits
from worker.settings import Settings
from worker.store import PIXELS, write_atomic


@dataclass(frozen=True)
class Denoised:
    """A result and the calibration of the file it came from."""

    result: Result
    info: ImageInfo


def denoise_file(
    path: Path, params: DenoiseParams, on_stack: Callable[[Progress, ImageInfo], None]
) -> Denoised:
    """Decode a file in a child process, as the server does, and denoise it in this one."""
    settings = Settings()
    pixels, info = read_file(path, settings)
    result = denoise(
        pixels,
        params,
        classify=load_classifier(settings.model),
        on_stack=lambda progress: on_stack(progress, info),
    )
    return Denoised(result, info)


def read_file(path: Path, settings: Settings | None = None) -> tuple[NDArray[Any], ImageInfo]:
    """The pixels and calibration of an image file."""
    settings = settings or Settings()
    limits = Limits(settings.max_pixels, settings.decode_timeout_s)
    with TemporaryDirectory(prefix="reucid-") as folder:
        info = decoder.decode(path.resolve(strict=True), Path(folder), limits)
        return np.load(Path(folder) / PIXELS), info


def save_image(path: Path, pixels: NDArray[Any], info: ImageInfo) -> None:
    """Write an image in the format its name asks for; whole or not at all."""
    format_ = formats.format_of(path)
    with write_atomic(path) as temporary:
        formats.write(temporary, pixels, info, format_)
