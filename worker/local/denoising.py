"""A file denoised without a server: decoded in a child, as a server does, and denoised here."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import Classify
from worker import formats
from worker.bundles import bundle
from worker.bundles.provenance import Run
from worker.contract import ImageInfo
from worker.denoising.artifacts import REPORT, RESULT, departures
from worker.denoising.model_files import Models
from worker.denoising.model_loading import judge_of
from worker.denoising.params import JobParams
from worker.denoising.run import Step, denoise_signal
from worker.formats import FormatError
from worker.formats.text import printable
from worker.local.decoding import Decoded, decode
from worker.settings import Settings
from worker.store import pixels_name, sha256_of, write_atomic


@dataclass(frozen=True)
class Denoised:
    """A result, what it was made from, and what is known of that."""

    decoded: Decoded
    noisy: NDArray[Any]
    image: NDArray[Any]
    info: ImageInfo
    report: dict[str, Any]
    started_at: float
    finished_at: float

    @property
    def residual(self) -> NDArray[Any]:
        residual: NDArray[Any] = self.noisy.astype(self.image.dtype) - self.image
        return residual

    @property
    def departures(self) -> NDArray[np.uint8]:
        """Where the image is not its lattice; nowhere with one scale."""
        return departures(self.report)

    @property
    def clipped(self) -> int:
        """How many pixels are out of the range of the source's type."""
        return formats.clipped_pixels(self.image, np.dtype(self.info.dtype))


def denoise_file(
    path: Path,
    params: JobParams,
    on_step: Callable[[Step], None],
    *,
    models: Models | None = None,
    bundle_at: Path | None = None,
    with_input: bool = True,
) -> Denoised:
    """Decode a file in a child process, as the server does, and denoise it in this one.

    The classifier is chosen of `models`, by default those of the settings. With `bundle_at`, also
    write the bundle that a server would; whole or not at all.

    Raises
    ------
    FormatError
        When the file cannot be denoised, or was changed before it could be bundled.
    ModelError
        When the classifier cannot be used.
    """
    settings = Settings()
    classify = judge_of(models or Models.of(settings), params)
    with TemporaryDirectory(prefix="reucid-") as name:
        denoised = denoise(decode(path, Path(name), settings), params, classify, on_step)
        if bundle_at is not None:
            write_bundle(denoised, bundle_at, with_input=with_input)
        return denoised


def denoise(
    decoded: Decoded, params: JobParams, classify: Classify, on_step: Callable[[Step], None]
) -> Denoised:
    """Denoise what was chosen of a file; all artifacts are left in its folder.

    Raises
    ------
    ReucidError
        When it cannot be denoised with these parameters.
    """
    started_at = time.time()
    params.check(decoded.contents)
    chosen = params.selection.of(decoded.contents)
    folder = decoded.folder
    signal = np.load(folder / pixels_name(chosen.index), mmap_mode="r")
    denoise_signal(signal, chosen, params, folder, classify=classify, on_step=on_step)
    return Denoised(
        decoded=decoded,
        noisy=np.array(chosen.pixels_of(signal)),
        image=np.load(folder / RESULT),
        info=chosen.info,
        report=json.loads((folder / REPORT).read_bytes()),
        started_at=started_at,
        finished_at=time.time(),
    )


def write_bundle(
    denoised: Denoised, path: Path, *, with_input: bool = True, input_name: str | None = None
) -> None:
    """Write the bundle that a server would, whole or not at all.

    `input_name` is what the input's owner calls it, where its file has another name.

    Raises
    ------
    FormatError
        When the input was changed since it was decoded.
    """
    decoded = denoised.decoded
    if any(sha256_of(each) != digest for each, digest in decoded.inputs.items()):
        message = f"{decoded.path} was changed while it was denoised: denoise it again"
        raise FormatError("changed_file", message)
    run = Run(
        input_name or printable(decoded.path.name),
        denoised.info,
        denoised.report,
        denoised.started_at,
        denoised.finished_at,
    )
    for name, pixels in (("result.tif", denoised.image), ("residual.tif", denoised.residual)):
        formats.write(decoded.folder / name, pixels, denoised.info, "tiff")
    held = bundle.parts(denoised.report)
    if bundle.DEPARTURES in held:
        place = decoded.folder / bundle.DEPARTURES
        formats.write(place, denoised.departures, denoised.info, "tiff")
    files = {name: decoded.folder / name for name in held}
    named = bundle.inputs(denoised.info.format, list(decoded.inputs))
    with write_atomic(path) as temporary:
        bundle.write(temporary, run, files, named, with_input=with_input)
