"""What of jobs and images can be looked at, and how its pyramid is made."""

from pathlib import Path

from fastapi import Request
from starlette.responses import Response

from app.api.artifacts import (
    check_image,
    check_interim,
    check_removal,
    chosen_signal,
    image_of,
    interim,
    require,
)
from app.api.cache import removal_told_by
from app.api.deps import Services
from app.api.drawing import Source, draw_apart
from app.api.painting import paint_pyramid, paint_residual_pyramid
from app.api.raw.answers import View, send
from app.api.raw.layout import Layout, difference, itself
from app.api.raw.reading import Origin, Pyramid
from app.api.wishes import Cut
from app.http.problems import Problem
from worker.contract import ImageInfo, ImageRecord, JobRecord
from worker.denoising.artifacts import RESULT
from worker.denoising.selection import Chosen, Selection


def send_result(
    request: Request, services: Services, job: JobRecord, frame: int | None, cut: Cut
) -> Response:
    """Of a job's result."""
    held = require(job, RESULT)
    chosen = chosen_signal(services, job)
    source = Source(services.store.artifact(job, RESULT), held.sha256, RESULT)
    view = _view_of_job(services, job, "result", chosen.info.shape, frame, source)
    with removal_told_by(lambda: check_removal(services, job)):
        return send(request, services, view, cut)


def send_residual(
    request: Request, services: Services, job: JobRecord, frame: int | None, cut: Cut
) -> Response:
    """Of what was denoised minus the result."""
    held = require(job, RESULT)
    chosen = chosen_signal(services, job)
    image = image_of(services, job)
    result = Source(services.store.artifact(job, RESULT), held.sha256, RESULT)
    noisy = _signal_source(services, image, chosen)
    origins = (Origin(result.path), Origin(noisy.path, chosen.frame or 0))
    path = services.store.renditions(job.id) / "residual.pyramid"
    pyramid = Pyramid(path, _as_stack(chosen.info.shape), origins, difference)

    def draw(target: Path) -> None:
        pixels = _room(pyramid.shape)
        draw_apart(paint_residual_pyramid, [result, noisy], target, chosen, pixels=pixels)

    view = View(pyramid, (result, noisy), draw, _frame(pyramid, frame), job.request.owner, job.id)
    with removal_told_by(lambda: check_removal(services, job)):
        return send(request, services, view, cut)


def send_interim(
    request: Request, services: Services, job: JobRecord, n: int | None, cut: Cut
) -> Response:
    """Of an interim result of the current attempt, the latest by default."""
    n, digest = interim(services, job, n)
    path = services.store.interim(job, n, digest)
    check_interim(job, path)
    shape = chosen_signal(services, job).info.frame_shape
    source = Source(path, digest, f"interim result {n}")
    view = _view_of_job(services, job, f"interim-{job.attempt}-{n:04d}", shape, None, source)
    with removal_told_by(lambda: check_interim(services.jobs.get(job.id), path)):
        return send(request, services, view, cut)


def send_input(
    request: Request, services: Services, job: JobRecord, frame: int | None, cut: Cut
) -> Response:
    """Of what a job is to denoise, whatever has become of the job."""
    return _send_signal(
        request, services, image_of(services, job), chosen_signal(services, job), frame, cut
    )


def send_pixels(
    request: Request,
    services: Services,
    image: ImageRecord,
    signal: int | str | None,
    frame: int | None,
    cut: Cut,
) -> Response:
    """Of a signal of an uploaded file."""
    chosen = Selection(signal=signal).of(image.contents)
    return _send_signal(request, services, image, chosen, frame, cut)


def _send_signal(
    request: Request,
    services: Services,
    image: ImageRecord,
    chosen: Chosen,
    frame: int | None,
    cut: Cut,
) -> Response:
    """One pyramid of a signal serves all jobs on it."""
    whole: ImageInfo = image.contents.signals[chosen.index]
    source = _signal_source(services, image, chosen)
    with removal_told_by(lambda: check_image(services, image)):
        check_image(services, image)
        path = services.store.image_renditions(image) / f"pixels-{chosen.index}.pyramid"
        pyramid = Pyramid(path, _as_stack(whole.shape), (Origin(source.path),))
        if chosen.frame is not None:
            _check_frame(frame or 0, 1)
            frame = chosen.frame

        def draw(target: Path) -> None:
            draw_apart(paint_pyramid, [source], target, pixels=_room(pyramid.shape))

        view = View(pyramid, (source,), draw, _frame(pyramid, frame), image.owner, image.id)
        return send(request, services, view, cut)


def _view_of_job(
    services: Services,
    job: JobRecord,
    name: str,
    shape: tuple[int, ...],
    frame: int | None,
    source: Source,
) -> View:
    """Of a file of a job as it is stored."""
    path = services.store.renditions(job.id) / f"{name}.pyramid"
    pyramid = Pyramid(path, _as_stack(shape), (Origin(source.path),), itself)

    def draw(target: Path) -> None:
        draw_apart(paint_pyramid, [source], target, pixels=_room(pyramid.shape))

    return View(pyramid, (source,), draw, _frame(pyramid, frame), job.request.owner, job.id)


def _signal_source(services: Services, image: ImageRecord, chosen: Chosen) -> Source:
    path = services.store.pixels(image, chosen.index)
    return Source(path, image.contents.digests[chosen.index])


def _frame(pyramid: Pyramid, frame: int | None) -> int:
    _check_frame(frame or 0, pyramid.shape[0])
    return frame or 0


def _check_frame(frame: int, frames: int) -> None:
    if frame >= frames:
        raise Problem(404, "not_found", f"no frame {frame}: there are {frames}, from 0 on")


def _room(shape: tuple[int, int, int]) -> int:
    """Pixels of a drawing whose file is as large as the pyramid's."""
    layout = Layout(shape)
    return 1 + (layout.levels_size + layout.table_size) // 8


def _as_stack(shape: tuple[int, ...]) -> tuple[int, int, int]:
    frames, m, n = shape if len(shape) == 3 else (1, *shape)
    return frames, m, n
