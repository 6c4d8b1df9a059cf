"""The same work without a server, for the command line."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core import DenoiseParams, Progress, Result, denoise
from reucid_core.classifier import load_classifier
from worker import bundle, decoder, formats
from worker.artifacts import write_artifacts
from worker.contract import ImageInfo, Limits
from worker.provenance import Run, Source
from worker.settings import Settings
from worker.store import PIXELS, sha256_of, write_atomic


@dataclass(frozen=True)
class Denoised:
    """A result, and the file it came from as it was then."""

    result: Result
    path: Path
    sha256: str
    info: ImageInfo
    started_at: float  # s since the epoch
    finished_at: float


def denoise_file(
    path: Path, params: DenoiseParams, on_stack: Callable[[Progress, ImageInfo], bool | None]
) -> Denoised:
    """Decode a file in a child process, as the server does, and denoise it in this one."""
    settings = Settings()
    started_at = time.time()
    digest = sha256_of(path)
    pixels, info = read_file(path, settings)
    result = denoise(
        pixels,
        params,
        classify=load_classifier(settings.model),
        on_stack=lambda progress: on_stack(progress, info),
    )
    return Denoised(result, path, digest, info, started_at, time.time())


def read_file(path: Path, settings: Settings | None = None) -> tuple[NDArray[Any], ImageInfo]:
    """The pixels and calibration of an image file."""
    settings = settings or Settings()
    limits = Limits(settings.max_pixels, settings.decode_timeout_s)
    with TemporaryDirectory(prefix="reucid-") as folder:
        info = decoder.decode(path.resolve(strict=True), Path(folder), limits)
        return np.load(Path(folder) / PIXELS), info


def save_bundle(path: Path, denoised: Denoised, *, with_input: bool = True) -> None:
    """Write the bundle that a server would; whole or not at all.

    Raises
    ------
    FormatError
        When the input is no longer the file that was denoised.
    """
    info, result = denoised.info, denoised.result
    if sha256_of(denoised.path) != denoised.sha256:
        raise formats.FormatError(
            "changed_file", f"{denoised.path} was changed while it was denoised: denoise it again"
        )
    source = Source(denoised.path.name, denoised.sha256, denoised.path.stat().st_size, info)
    run = Run(source, result.report.to_dict(), denoised.started_at, denoised.finished_at)
    with TemporaryDirectory(prefix="reucid-") as name:
        folder = Path(name)
        write_artifacts(folder, result)
        formats.write(folder / "result.tif", result.image, info, "tiff")
        formats.write(folder / "residual.tif", result.residual, info, "tiff")
        files = {each: folder / each for each in bundle.parts(result.report.complete)}
        if with_input:
            files[bundle.input_name(info)] = denoised.path
        with write_atomic(path) as temporary:
            bundle.write(temporary, run, files)


def save_image(path: Path, pixels: NDArray[Any], info: ImageInfo) -> None:
    """Write an image in the format its name asks for; whole or not at all."""
    format_ = formats.format_of(path)
    with write_atomic(path) as temporary:
        formats.write(temporary, pixels, info, format_)
