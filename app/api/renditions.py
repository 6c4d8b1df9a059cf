"""What a client downloads: an artifact of the ledger in the format and type it asked for.

Drawn from bytes that are checked then against the ledger's digest, and kept by `app.api.cache`.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import structlog
from fastapi import Request
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
from app.api.cache import Rendition, cached, removal_told_by
from app.api.deps import Services
from app.api.drawing import Source, Work, check_place, draw_apart
from app.api.painting import (
    Wanted,
    paint_coverage,
    paint_departures,
    paint_eigenpatch,
    paint_eigenpatch_numbers,
    paint_eigenpatches,
    paint_image,
    paint_input,
    paint_preview,
    paint_preview_of_levels,
    paint_residual,
)
from app.api.pictures import preview_step, rung
from app.api.quotas import check_space
from app.api.wishes import Wish
from app.http.conditional import etag_of, not_modified, tagged
from app.http.problems import Problem
from worker import formats
from worker.bundles import bundle, eln, provenance
from worker.contract import ImageRecord, JobRecord
from worker.denoising.artifacts import COVERAGE, EIGENPATCHES, REPORT, RESULT
from worker.denoising.reports import (
    decomposed_frame,
    decompositions,
    frame_reports,
    has_departures,
    is_whole,
)
from worker.denoising.revising import reports_of
from worker.denoising.selection import Chosen
from worker.formats.picture import WHOLE
from worker.pyramid.layout import KEPT
from worker.store import DamagedError

log = structlog.get_logger()

PREVIEW = 2**22  # bytes that a preview takes at most, about
FLOAT32 = 4  # bytes
BINARY = "application/octet-stream"

Name = Literal["result", "residual", "coverage", "departures", "input"]


def render(services: Services, job: JobRecord, name: Name, wish: Wish) -> Rendition:
    """Result, residual, coverage or departures of a succeeded job, or the input of any."""
    _require(services, job, name)
    chosen = chosen_signal(services, job)
    stack = len(chosen.info.shape) == 3 and wish.frame is None and wish.format != "png"

    wanted = _wanted(chosen, wish)

    def draw(path: Path) -> int | None:
        return _draw(services, job, chosen, name, wanted, path)

    suffix = formats.suffix_of(wish.format, stack=stack)
    media_type = formats.MEDIA_TYPES[wish.format]
    return _of_job(services, job, f"{name}{wish.stem}{suffix}", media_type, draw)


def send_picture(
    request: Request, services: Services, job: JobRecord, name: Name, wish: Wish
) -> Response:
    """As `render`, a picture with a look of its own; drawn, and not kept."""
    _require(services, job, name)
    chosen = chosen_signal(services, job)
    wanted = _wanted(chosen, wish)
    check_place()
    with removal_told_by(lambda: check_removal(services, job)):
        path = services.store.renditions(job.id) / f".{uuid4().hex}.png"
        try:
            _draw(services, job, chosen, name, wanted, path)
            content = path.read_bytes()
        finally:
            path.unlink(missing_ok=True)
    headers = tagged(etag_of(content), vary="Accept")
    return not_modified(request, headers) or Response(
        content, media_type="image/png", headers=headers
    )


def render_interim(services: Services, job: JobRecord, n: int | None, wish: Wish) -> Rendition:
    """An interim result of the current attempt, the latest by default."""
    n, digest = interim(services, job, n)
    path = services.store.interim(job, n, digest)
    check_interim(job, path)
    info = chosen_signal(services, job).info

    source = Source(path, digest, f"interim result {n}")
    wanted = Wanted(wish.format, False, None, None)

    def draw(target: Path) -> None:
        try:
            draw_apart(paint_image, [source], target, info, wanted, pixels=math.prod(info.shape))
        except Problem:
            check_interim(services.jobs.get(job.id), path)
            raise

    suffix = formats.suffix_of(wish.format, stack=False)
    media_type = formats.MEDIA_TYPES[wish.format]
    return _of_job(services, job, f"interim-{job.attempt}-{n:04d}{suffix}", media_type, draw)


def render_eigenpatches(services: Services, job: JobRecord, frame: int) -> Rendition:
    """The montage of a frame's offered eigenpatches with the classifier's verdicts."""
    require(job, REPORT)

    def draw(target: Path) -> None:
        source, drawn, reports = _eigenpatches(services, job, frame)
        draw_apart(paint_eigenpatches, [source], target, drawn, reports, pixels=0)

    return _of_job(services, job, f"eigenpatches{_suffix(frame)}.png", "image/png", draw)


def render_eigenpatch(
    services: Services, job: JobRecord, stack: int, index: int, frame: int
) -> Rendition:
    """One eigenpatch of one stack, both counted from 1, of a frame, counted from 0."""
    require(job, REPORT)

    def draw(target: Path) -> None:
        source, drawn, reports = _eigenpatches(services, job, frame)
        offered = {each["stack"]: len(each["kept"]) for each in reports}
        if not 1 <= index <= offered.get(stack, 0):
            raise Problem(404, "not_found", f"this job has no eigenpatch {index} of stack {stack}")
        draw_apart(paint_eigenpatch, [source], target, drawn, stack, index, pixels=0)

    filename = f"eigenpatch-{stack}-{index}{_suffix(frame)}.png"
    return _of_job(services, job, filename, "image/png", draw)


def render_eigenpatch_numbers(
    services: Services, job: JobRecord, stack: int, frame: int
) -> tuple[Rendition, tuple[int, int, int]]:
    """All offered eigenpatches of one stack as float32, and their shape, (k, p, p)."""
    require(job, REPORT)
    source, drawn, _ = _eigenpatches(services, job, frame)
    told = reports_of(read_report(services, job))[frame]
    shapes = {each.stack: (len(each.kept), p, p) for each, p in told.decompositions}
    if stack not in shapes:
        raise Problem(404, "not_found", f"this job has no stack {stack} of eigenpatches")

    def draw(target: Path) -> None:
        pixels = math.prod(shapes[stack])
        draw_apart(paint_eigenpatch_numbers, [source], target, drawn, stack, pixels=pixels)

    filename = f"eigenpatches-{stack}{_suffix(frame)}.raw"
    return _of_job(services, job, filename, BINARY, draw), shapes[stack]


def render_preview(services: Services, image: ImageRecord, side: int) -> Rendition:
    """The default signal of an uploaded file, of a stack the first frame, small and stretched."""
    index, side = image.contents.default or 0, rung(side)
    signal = image.contents.signals[index]
    step = preview_step(signal.frame_shape, side)
    reduced = image.contents.reduced[index] if image.contents.reduced else None

    def draw(target: Path) -> None:
        check_space(services, image.owner, PREVIEW)
        if reduced is not None and step >= KEPT[0]:
            levels, _ = services.store.levels(image, index, reduced)
            source = Source(levels(), reduced.levels)
            try:
                draw_apart(paint_preview_of_levels, [source], target, signal.shape, step, pixels=0)
            except DamagedError:
                log.warning("levels_damaged", of=image.id)
            else:
                return
        source = Source(services.store.pixels(image, index), image.contents.digests[index])
        draw_apart(paint_preview, [source], target, step, pixels=0)

    with removal_told_by(lambda: check_image(services, image)):
        path = services.store.image_renditions(image) / f"preview-{side}.png"
        return cached(path, "image/png", draw, image.id)


def render_bundle(services: Services, job: JobRecord, *, with_input: bool) -> Rendition:
    """Everything of a succeeded job in one file."""
    require(job, REPORT)

    def draw(target: Path) -> None:
        bundle.write(target, *_run(services, job), with_input=with_input)

    filename = "bundle.zip" if with_input else "bundle-without-input.zip"
    return _of_job(services, job, filename, bundle.MEDIA_TYPE, draw)


def render_eln(services: Services, job: JobRecord) -> Rendition:
    """Everything of a succeeded job for an electronic laboratory notebook."""
    require(job, REPORT)

    def draw(target: Path) -> None:
        eln.write(target, *_run(services, job), owner=job.request.owner)

    return _of_job(services, job, "bundle.eln", eln.MEDIA_TYPE, draw)


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
        case "departures.tif":
            return render(services, job, "departures", Wish("tiff")).path
        case _:
            return artifact(services, job, name)[0]


def _eigenpatches(
    services: Services, job: JobRecord, frame: int
) -> tuple[Source, int, list[Mapping[str, Any]]]:
    """Where the eigenpatches of a frame are, under which frame's number, and their reports."""
    whole = read_report(services, job)
    reports = frame_reports(whole)
    if frame >= len(reports):
        raise Problem(404, "not_found", f"frame {frame} of this job was not denoised")
    source = _held(services, job, EIGENPATCHES)
    return source, decomposed_frame(whole, frame), decompositions(reports[frame])


def _suffix(frame: int) -> str:
    return f"-frame{frame:04d}" if frame else ""


def _wanted(chosen: Chosen, wish: Wish) -> Wanted:
    """The frame that is wanted, if any; a picture shows the first of a stack."""
    frame = 0 if wish.frame is None and wish.format == "png" else wish.frame
    frames = chosen.info.frames
    if frame is not None and frame >= frames:
        raise Problem(404, "not_found", f"no frame {frame}: this job has {frames}, from 0 on")
    return Wanted(wish.format, wish.source, frame, wish.look)


def _draw(
    services: Services, job: JobRecord, chosen: Chosen, name: Name, wanted: Wanted, target: Path
) -> int | None:
    """Draw an image of a job, where there is room; gives the clipped pixels."""
    shape = chosen.info.shape if wanted.frame is None else chosen.info.frame_shape
    pixels = math.prod(shape)
    written = FLOAT32 * pixels
    check_space(services, job.request.owner, written)
    is_picture = wanted.format == "png"  # of which a band is held at a time
    room = {"pixels": min(pixels, WHOLE), "written": written} if is_picture else {"pixels": pixels}
    if name == "result":
        sources = [_held(services, job, RESULT)]
        return draw_apart(paint_image, sources, target, chosen.info, wanted, **room)
    if name == "coverage":
        whole = is_whole(read_report(services, job))
        work: Work = paint_coverage if whole else paint_image
        sources = [_held(services, job, REPORT if whole else COVERAGE)]
        held = math.prod(chosen.info.shape) if whole else pixels
        return draw_apart(work, sources, target, chosen.info, wanted, pixels=held)
    if name == "departures":
        sources = [_held(services, job, REPORT)]
        whole_map = math.prod(chosen.info.shape)
        return draw_apart(paint_departures, sources, target, chosen.info, wanted, pixels=whole_map)
    image = image_of(services, job)
    path = services.store.pixels(image, chosen.index)
    noisy = Source(path, image.contents.digests[chosen.index])
    if name == "input":
        check_image(services, image)
        return draw_apart(paint_input, [noisy], target, chosen, wanted, **room)
    sources = [_held(services, job, RESULT), noisy]
    return draw_apart(paint_residual, sources, target, chosen, wanted, **room)


def _require(services: Services, job: JobRecord, name: Name) -> None:
    """Refuse what is not there; the input of a job is from its beginning on."""
    if name == "input":
        return
    require(job, RESULT)
    if name == "departures" and not has_departures(read_report(services, job)):
        raise Problem(
            404,
            "not_found",
            "this job has no map of departures: method two-scale makes one, where it finds noise",
        )


def _held(services: Services, job: JobRecord, name: str) -> Source:
    """A file of a job, to be checked by who draws from it."""
    held = require(job, name)
    return Source(services.store.artifact(job, name), held.sha256, name)
