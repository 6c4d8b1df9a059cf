"""What of jobs and images can be looked at, and how its pyramid is made."""

from functools import partial
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
from app.api.raw.answers import Kept, View, send
from app.api.wishes import Cut
from app.http.problems import Problem
from worker.contract import ImageInfo, ImageRecord, JobRecord
from worker.denoising.artifacts import RESULT
from worker.denoising.reducing import RESIDUAL
from worker.denoising.selection import Chosen, Selection
from worker.pyramid.layout import Layout, beside, difference, itself
from worker.pyramid.reading import Find, Origin


def send_result(
    request: Request, services: Services, job: JobRecord, frame: int | None, cut: Cut
) -> Response:
    """Of a job's result."""
    held = require(job, RESULT)
    chosen = chosen_signal(services, job)
    find = partial(services.store.artifact, job, RESULT)
    kept = _kept(services, job, RESULT)
    shape = chosen.info.shape
    view = _view_of_job(services, job, RESULT, shape, frame, find, held.sha256, kept)
    with removal_told_by(lambda: check_removal(services, job)):
        return send(request, services, view, cut)


def send_residual(
    request: Request, services: Services, job: JobRecord, frame: int | None, cut: Cut
) -> Response:
    """Of what was denoised minus the result."""
    held = require(job, RESULT)
    chosen = chosen_signal(services, job)
    image = image_of(services, job)
    result = partial(services.store.artifact, job, RESULT)
    noisy = partial(services.store.pixels, image, chosen.index)
    digest = image.contents.digests[chosen.index]
    layout = Layout.of(chosen.info.shape)

    def draw(target: Path) -> None:
        sources = [Source(result(), held.sha256, RESULT), Source(noisy(), digest)]
        draw_apart(paint_residual_pyramid, sources, target, chosen, pixels=_room(layout))

    view = View(
        layout=layout,
        origins=(Origin(result), Origin(noisy, chosen.frame or 0)),
        combine=difference,
        made_of=(held.sha256, digest),
        kept=_kept(services, job, RESIDUAL),
        path=services.store.renditions(job.id) / "residual.pyramid",
        draw=draw,
        frame=_frame(layout, frame),
        owner=job.request.owner,
        of=job.id,
    )
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
    name = f"interim-{job.attempt}-{n:04d}"
    view = _view_of_job(services, job, name, shape, None, lambda: path, digest, None)
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
    find = partial(services.store.pixels, image, chosen.index)
    digest = image.contents.digests[chosen.index]
    layout = Layout.of(whole.shape)
    with removal_told_by(lambda: check_image(services, image)):
        check_image(services, image)
        if chosen.frame is not None:
            _check_frame(frame or 0, 1)
            frame = chosen.frame

        def draw(target: Path) -> None:
            draw_apart(paint_pyramid, [Source(find(), digest)], target, pixels=_room(layout))

        view = View(
            layout=layout,
            origins=(Origin(find),),
            combine=itself,
            made_of=(digest,),
            kept=_kept_of_image(services, image, chosen.index),
            path=services.store.image_renditions(image) / f"pixels-{chosen.index}.pyramid",
            draw=draw,
            frame=_frame(layout, frame),
            owner=image.owner,
            of=image.id,
        )
        return send(request, services, view, cut)


def _view_of_job(
    services: Services,
    job: JobRecord,
    name: str,
    shape: tuple[int, ...],
    frame: int | None,
    find: Find,
    sha256: str,
    kept: Kept | None,
) -> View:
    """Of a file of a job as it is stored."""
    layout = Layout.of(shape)

    def draw(target: Path) -> None:
        draw_apart(paint_pyramid, [Source(find(), sha256, name)], target, pixels=_room(layout))

    return View(
        layout=layout,
        origins=(Origin(find),),
        combine=itself,
        made_of=(sha256,),
        kept=kept,
        path=services.store.renditions(job.id) / f"{Path(name).stem}.pyramid",
        draw=draw,
        frame=_frame(layout, frame),
        owner=job.request.owner,
        of=job.id,
    )


def _kept(services: Services, job: JobRecord, name: str) -> Kept | None:
    """The levels that the worker wrote beside a large result; older jobs have none."""
    levels, tiles = (job.artifact(path.name) for path in beside(Path(name)))
    if levels is None or tiles is None:
        return None
    find = partial(services.store.artifact, job)
    return Kept(partial(find, levels.name), partial(find, tiles.name), tiles.sha256)


def _kept_of_image(services: Services, image: ImageRecord, signal: int) -> Kept | None:
    """The levels that were written when a large image was accepted; older images have none."""
    reduced = image.contents.reduced[signal] if image.contents.reduced else None
    if reduced is None:
        return None
    return Kept(*services.store.levels(image, signal, reduced), reduced.tiles)


def _frame(layout: Layout, frame: int | None) -> int:
    _check_frame(frame or 0, layout.shape[0])
    return frame or 0


def _check_frame(frame: int, frames: int) -> None:
    if frame >= frames:
        raise Problem(404, "not_found", f"no frame {frame}: there are {frames}, from 0 on")


def _room(layout: Layout) -> int:
    """Pixels of a drawing whose file is as large as the pyramid's."""
    return 1 + (layout.levels_size + layout.table_size) // 8
