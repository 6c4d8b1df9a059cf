"""The same work without a server, for the command line."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reucid_core.eigenpatches import Classify
from worker import formats
from worker.bundles import bundle
from worker.bundles.integrity import recorded_inputs
from worker.bundles.provenance import ACTION, Run
from worker.bundles.verification import verified_evidence
from worker.contract import ImageInfo
from worker.decoding.inspection import companions_of, decode_file
from worker.denoising.artifacts import REPORT, RESULT
from worker.denoising.model_files import Models
from worker.denoising.model_loading import judge_of
from worker.denoising.params import JobParams
from worker.denoising.revising import revise_signal
from worker.denoising.revision import Revision
from worker.denoising.run import Step, denoise_signal
from worker.formats import FormatError, Look
from worker.formats.text import printable
from worker.settings import Settings
from worker.store import pixels_name, sha256_of, write_atomic


@dataclass(frozen=True)
class Denoised:
    """A result, what it was made from, and what is known of that."""

    noisy: NDArray[Any]
    image: NDArray[Any]
    info: ImageInfo
    report: dict[str, Any]

    @property
    def residual(self) -> NDArray[Any]:
        residual: NDArray[Any] = self.noisy.astype(self.image.dtype) - self.image
        return residual


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
    started_at = time.time()
    classify = judge_of(models or Models.of(Settings()), params)
    with TemporaryDirectory(prefix="reucid-") as name:
        folder = Path(name)
        inputs = {each: sha256_of(each) for each in (path, *companions_of(path))}
        denoised = _denoise(path, params, classify, on_step, folder)
        if bundle_at is not None:
            if any(sha256_of(each) != digest for each, digest in inputs.items()):
                message = f"{path} was changed while it was denoised: denoise it again"
                raise FormatError("changed_file", message)
            run = Run(printable(path.name), denoised.info, denoised.report, started_at, time.time())
            files = _bundled(denoised, folder)
            named = bundle.inputs(denoised.info.format, list(inputs))
            with write_atomic(bundle_at) as temporary:
                bundle.write(temporary, run, files, named, with_input=with_input)
        return denoised


def _denoise(
    path: Path,
    params: JobParams,
    classify: Classify,
    on_step: Callable[[Step], None],
    folder: Path,
) -> Denoised:
    """Leave pixels and artifacts in a folder."""
    contents = decode_file(path, folder, Settings())
    params.check(contents)
    chosen = params.selection.of(contents)
    signal = np.load(folder / pixels_name(chosen.index), mmap_mode="r")
    denoise_signal(signal, chosen, params, folder, classify=classify, on_step=on_step)
    report = json.loads((folder / REPORT).read_bytes())
    noisy = np.array(chosen.pixels_of(signal))
    return Denoised(noisy, np.load(folder / RESULT), chosen.info, report)


def revise_bundle(
    path: Path,
    revision: Revision,
    *,
    input_file: Path | None = None,
    bundle_at: Path | None = None,
) -> Denoised:
    """The result of a bundle with a person's verdicts, once the bundle is known to be what it says.

    Parameters
    ----------
    path : Path
    revision : Revision
        Of the job that the bundle names, if it names one, whatever is said here.
    input_file : Path, optional
        The image that was denoised, when the bundle holds but its hash.
    bundle_at : Path, optional
        Where to write the bundle of the new result; with the input if the old one has it.

    Raises
    ------
    ArchiveError
        When the file is no bundle.
    FormatError
        When it is not what it says, or that cannot be checked.
    ParameterError
        When there is no such eigenpatch, or none of a stack would be left.
    """
    started_at = time.time()
    with TemporaryDirectory(prefix="reucid-") as name:
        folder = Path(name)
        evidence = verified_evidence(path, folder, input_file)
        entity = recorded_inputs(evidence.record)[0]
        of = evidence.record[ACTION].get("identifier")
        given = JobParams.from_json(evidence.told.parameters)
        revision = replace(revision, of=None if of is None else str(of))
        params = replace(given, revision=revision)
        signal, chosen = evidence.signal
        made = folder / "revised"
        made.mkdir()
        report = revise_signal(
            signal, chosen, params, made, source=evidence.source, on_step=lambda _: None
        )
        noisy = np.array(chosen.pixels_of(signal))
        revised = Denoised(noisy, np.load(made / RESULT), chosen.info, report)
        if bundle_at is not None:
            run = Run(str(entity["name"]), revised.info, report, started_at, time.time())
            named = bundle.inputs(revised.info.format, evidence.inputs)
            files = _bundled(revised, made)
            with_input = evidence.stated_input is None
            with write_atomic(bundle_at) as temporary:
                bundle.write(temporary, run, files, named, with_input=with_input)
        return revised


def _bundled(denoised: Denoised, folder: Path) -> dict[str, Path]:
    """The files of a bundle, beside the artifacts."""
    formats.write(folder / "result.tif", denoised.image, denoised.info, "tiff")
    formats.write(folder / "residual.tif", denoised.residual, denoised.info, "tiff")
    return {name: folder / name for name in bundle.parts(denoised.report)}


def read_file(path: Path, settings: Settings | None = None) -> tuple[NDArray[Any], ImageInfo]:
    """The pixels of a file's default image signal, and what is known of it."""
    with TemporaryDirectory(prefix="reucid-") as name:
        contents = decode_file(path, Path(name), settings or Settings())
        index = contents.default
        if index is None:
            raise FormatError(
                "no_default",
                f"got {len(contents.signals)} arrays and no word on which is the image",
            )
        return np.load(Path(name) / pixels_name(index)), contents.signals[index]


def save_image(
    path: Path,
    pixels: NDArray[Any],
    info: ImageInfo,
    *,
    source: bool = False,
    look: Look | None = None,
) -> None:
    """Write an image in the format its name asks for; whole or not at all."""
    format_ = formats.format_of(path)
    with write_atomic(path) as temporary:
        formats.write(temporary, pixels, info, format_, source=source, look=look)


def clipped(denoised: Denoised) -> int:
    """How many pixels of a result are out of the range of its source's type."""
    return formats.clipped_pixels(denoised.image, np.dtype(denoised.info.dtype))
