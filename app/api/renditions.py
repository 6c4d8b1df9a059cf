"""What a client downloads: an artifact of the ledger in the format and type it asked for.

Drawn from bytes that are checked then against the ledger's digest, and kept by `app.api.cache`.
"""

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from fastapi import Request
from numpy.typing import NDArray
from starlette.responses import Response

from app.api.artifacts import (
    artifact,
    check_image,
    check_interim,
    check_removal,
    chosen_signal,
    image_of,
    interim,
    read_report,
    require,
)
from app.api.cache import Rendition, cached, matches, removal_told_by
from app.api.deps import Services
from app.api.pictures import draw_eigenpatch, draw_eigenpatches, draw_preview
from app.api.wishes import Wish
from app.http.conditional import etag_of, not_modified, tagged
from app.http.problems import Problem
from worker import formats
from worker.bundles import bundle, provenance
from worker.contract import ImageRecord, JobRecord
from worker.denoising.artifacts import COVERAGE, EIGENPATCHES, REPORT, RESULT, whole_coverage
from worker.denoising.reports import decomposed_frame, eigenpatches_key, frame_reports, is_whole
from worker.denoising.selection import Chosen, as_stack

Name = Literal["result", "residual", "coverage"]


def render(services: Services, job: JobRecord, name: Name, wish: Wish) -> Rendition:
    """Result, residual or coverage of a succeeded job."""
    require(job, RESULT)
    chosen = chosen_signal(services, job)
    stack = len(chosen.info.shape) == 3 and wish.frame is None and wish.format != "png"

    def draw(path: Path) -> int | None:
        pixels = _one_frame(_pixels(services, job, chosen, name), wish)
        formats.write(path, pixels, chosen.info, wish.format, source=wish.source)
        dtype = np.dtype(chosen.info.dtype)
        return formats.clipped_pixels(pixels, dtype) if wish.source else None

    suffix = formats.suffix_of(wish.format, stack=stack)
    media_type = formats.MEDIA_TYPES[wish.format]
    return _of_job(services, job, f"{name}{wish.stem}{suffix}", media_type, draw)


def send_picture(
    request: Request, services: Services, job: JobRecord, name: Name, wish: Wish
) -> Response:
    """Result, residual or coverage as a picture with a look of its own; drawn, and not kept."""
    require(job, RESULT)
    chosen = chosen_signal(services, job)
    buffer = io.BytesIO()
    with removal_told_by(lambda: check_removal(services, job)):
        pixels = _one_frame(_pixels(services, job, chosen, name), wish)
    formats.picture(pixels, chosen.info, wish.look).save(buffer, format="PNG")
    content = buffer.getvalue()
    headers = tagged(etag_of(content), vary="Accept")
    return not_modified(request, headers) or Response(
        content, media_type="image/png", headers=headers
    )


def render_interim(services: Services, job: JobRecord, n: int | None, wish: Wish) -> Rendition:
    """An interim result of the current attempt, the latest by default."""
    n, digest = interim(services, job, n)
    path = services.store.interim(job.id, job.attempt, n)
    check_interim(job, path)
    info = chosen_signal(services, job).info

    def draw(target: Path) -> None:
        if not matches(path, digest):
            check_interim(services.jobs.get(job.id), path)
            raise Problem(500, "damaged_artifact", f"interim result {n} is damaged in the store")
        formats.write(target, np.load(path), info, wish.format)

    suffix = formats.suffix_of(wish.format, stack=False)
    media_type = formats.MEDIA_TYPES[wish.format]
    return _of_job(services, job, f"interim-{job.attempt}-{n:04d}{suffix}", media_type, draw)


def render_eigenpatches(services: Services, job: JobRecord, frame: int) -> Rendition:
    """The montage of a frame's offered eigenpatches with the classifier's verdicts."""
    require(job, REPORT)

    def draw(target: Path) -> None:
        report, patches = _eigenpatches(services, job, frame)
        draw_eigenpatches(patches, report["stack_reports"]).save(target, format="PNG")

    return _of_job(services, job, f"eigenpatches{_suffix(frame)}.png", "image/png", draw)


def render_eigenpatch(
    services: Services, job: JobRecord, stack: int, index: int, frame: int
) -> Rendition:
    """One eigenpatch of one stack, both counted from 1, of a frame, counted from 0."""
    require(job, REPORT)

    def draw(target: Path) -> None:
        patches = _eigenpatches(services, job, frame)[1].get(stack, ())
        if not 1 <= index <= len(patches):
            raise Problem(404, "not_found", f"this job has no eigenpatch {index} of stack {stack}")
        draw_eigenpatch(patches[index - 1]).save(target, format="PNG")

    filename = f"eigenpatch-{stack}-{index}{_suffix(frame)}.png"
    return _of_job(services, job, filename, "image/png", draw)


def render_preview(services: Services, image: ImageRecord, side: int) -> Rendition:
    """The default signal of an uploaded file, of a stack the first frame, small and stretched."""

    def draw(target: Path) -> None:
        pixels = as_stack(services.store.load_pixels(image, image.contents.default or 0))
        draw_preview(pixels[0], target, side=side)

    with removal_told_by(lambda: check_image(services, image)):
        path = services.store.image_renditions(image.id) / f"preview-{side}.png"
        return cached(path, "image/png", draw, image.id)


def render_bundle(services: Services, job: JobRecord, *, with_input: bool) -> Rendition:
    """Everything of a succeeded job in one file."""
    require(job, REPORT)

    def draw(target: Path) -> None:
        bundle.write(target, *_run(services, job), with_input=with_input)

    filename = "bundle.zip" if with_input else "bundle-without-input.zip"
    return _of_job(services, job, filename, bundle.MEDIA_TYPE, draw)


def render_provenance(services: Services, job: JobRecord, *, with_input: bool) -> Rendition:
    """The record that the bundle of a succeeded job holds."""
    require(job, REPORT)

    def draw(target: Path) -> None:
        bundle.write_record(target, *_run(services, job), with_input=with_input)

    filename = provenance.RECORD if with_input else f"without-input-{provenance.RECORD}"
    return _of_job(services, job, filename, provenance.MEDIA_TYPE, draw)


def _of_job(
    services: Services,
    job: JobRecord,
    filename: str,
    media_type: str,
    draw: Callable[[Path], int | None],
) -> Rendition:
    with removal_told_by(lambda: check_removal(services, job)):
        return cached(services.store.renditions(job.id) / filename, media_type, draw, job.id)


def _run(
    services: Services, job: JobRecord
) -> tuple[provenance.Run, dict[str, Path], dict[str, Path]]:
    """What a bundle tells of a job, and the files of its result and input by their names there."""
    report = read_report(services, job)
    image = image_of(services, job)
    run = provenance.Run(
        input_name=image.name,
        info=chosen_signal(services, job).info,
        report=report,
        started_at=job.started_at or job.created_at,
        finished_at=job.finished_at or job.created_at,
        job_id=job.id,
        sample_id=job.request.sample_id,
    )
    files = {name: _part(services, job, name) for name in bundle.parts(report)}
    return run, files, bundle.inputs(image.contents.format, services.store.sent_files(image))


def _part(services: Services, job: JobRecord, name: str) -> Path:
    match name:
        case "result.tif":
            return render(services, job, "result", Wish("tiff")).path
        case "residual.tif":
            return render(services, job, "residual", Wish("tiff")).path
        case _:
            return artifact(services, job, name)[0]


def _eigenpatches(
    services: Services, job: JobRecord, frame: int
) -> tuple[Mapping[str, Any], dict[int, NDArray[Any]]]:
    """The report of a frame, and by the stacks in it their offered eigenpatches (k, p, p)."""
    whole = read_report(services, job)
    reports = frame_reports(whole)
    if frame >= len(reports):
        raise Problem(404, "not_found", f"frame {frame} of this job was not denoised")
    path, _ = artifact(services, job, EIGENPATCHES)
    stacks = [stack["stack"] for stack in reports[frame]["stack_reports"]]
    drawn = decomposed_frame(whole, frame)
    with np.load(path) as stored:
        return reports[frame], {n: stored[eigenpatches_key(drawn, n)] for n in stacks}


def _suffix(frame: int) -> str:
    return f"-frame{frame:04d}" if frame else ""


def _one_frame(pixels: NDArray[Any], wish: Wish) -> NDArray[Any]:
    """The frame that is wanted, if any; a picture shows the first of a stack."""
    frame = 0 if wish.frame is None and wish.format == "png" else wish.frame
    if frame is None:
        return pixels
    frames = as_stack(pixels)
    if frame >= len(frames):
        raise Problem(404, "not_found", f"no frame {frame}: this job has {len(frames)}, from 0 on")
    return np.asarray(frames[frame])


def _pixels(services: Services, job: JobRecord, chosen: Chosen, name: Name) -> NDArray[Any]:
    if name == "coverage":
        return _coverage(services, job)
    result = _load(services, job, RESULT)
    if name == "result":
        return result
    signal = services.store.load_pixels(image_of(services, job), chosen.index)
    return np.asarray(chosen.pixels_of(signal).astype(result.dtype) - result)


def _coverage(services: Services, job: JobRecord) -> NDArray[Any]:
    """Kept only where patches are missing."""
    report = read_report(services, job)
    if is_whole(report):
        return whole_coverage(report)
    return _load(services, job, COVERAGE)


def _load(services: Services, job: JobRecord, name: str) -> NDArray[Any]:
    path, _ = artifact(services, job, name)
    return np.asarray(np.load(path, mmap_mode="r"))
