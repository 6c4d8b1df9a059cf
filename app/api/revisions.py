"""Revisions of a job's result by a person's verdicts on its eigenpatches."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

from starlette.responses import Response

from app.api.artifacts import (
    artifact,
    check_image,
    check_removal,
    chosen_signal,
    image_of,
    read_report,
    require,
)
from app.api.cache import removal_told_by
from app.api.deps import Services
from app.api.drawing import Source, check_place, draw_apart
from app.api.painting import Revised, paint_revision
from app.api.quotas import check_space
from app.api.raw.answers import MEDIA_TYPE, MOST_PIXELS, region_of, told_of
from app.api.schemas import RevisionSpec
from app.api.wishes import Cut
from app.http.problems import FieldError, Limit, Problem, invalid
from app.http.requestid import request_id
from reucid_core.errors import ParameterError
from worker.contract import JobRecord, JobRequest
from worker.denoising.artifacts import EIGENPATCHES, REPORT, RESULT
from worker.denoising.revising import check_revision
from worker.denoising.revision import Revision

WORKING = 4  # times the pixels of a drawing, that replaying takes (measured at two scales)


def revision_request(services: Services, job: JobRecord, spec: RevisionSpec) -> JobRequest:
    """The job that revises a result, as it is entered: one like it, with a person's verdicts.

    Raises
    ------
    Problem
        When there is no result, or no such eigenpatch in it.
    """
    revision = Revision(job.id, spec.verdicts(), spec.frame)
    _checked(services, job, revision)
    for name in (RESULT, EIGENPATCHES):
        artifact(services, job, name)
    check_image(services, image_of(services, job))
    check_space(services, job.request.owner, 0)
    params = {**job.request.params, "revision": revision.to_json()}
    return replace(job.request, params=params, retry_of=None, request_id=request_id())


def send_preview(services: Services, job: JobRecord, spec: RevisionSpec, cut: Cut) -> Response:
    """What a frame of the result would be, a part of it at a scale; drawn, and not kept."""
    held = require(job, EIGENPATCHES)
    chosen = chosen_signal(services, job)
    m, n = shape = chosen.info.frame_shape
    if m * n > MOST_PIXELS:
        raise Problem(
            422,
            "region_too_large",
            f"got an image of {m} x {n} px, at most {MOST_PIXELS} px are revised at once to be "
            "looked at (max_raw_pixels): make a job of it",
            limit=Limit(name="max_raw_pixels", value=MOST_PIXELS, got=m * n),
        )
    region = region_of(shape, cut)
    check_place()
    with removal_told_by(lambda: check_removal(services, job)):
        report = _checked(services, job, Revision(job.id, spec.verdicts(), spec.frame))
        image = image_of(services, job)
        check_image(services, image)
        stored = services.store.artifact(job, EIGENPATCHES)
        noisy = services.store.pixels(image, chosen.index)
        sources = [
            Source(stored, held.sha256, EIGENPATCHES),
            Source(noisy, image.contents.digests[chosen.index]),
        ]
        revised = Revised(report, spec.frame, spec.verdicts(), region)
        path = services.store.renditions(job.id) / f".{uuid4().hex}.raw"
        try:
            draw_apart(paint_revision, sources, path, chosen, revised, pixels=WORKING * m * n)
            content = path.read_bytes()
        finally:
            path.unlink(missing_ok=True)
    return Response(content, media_type=MEDIA_TYPE, headers=told_of(shape, spec.frame, region))


def _checked(services: Services, job: JobRecord, revision: Revision) -> dict[str, Any]:
    """The report of a result that can be revised so."""
    require(job, REPORT)
    report = read_report(services, job)
    try:
        check_revision(report, revision)
    except ParameterError as error:
        field = FieldError(field=f"body.{error.field}", message=error.reason)
        raise invalid([field]) from error
    return report
