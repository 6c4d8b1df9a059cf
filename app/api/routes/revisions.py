"""A person's verdicts on eigenpatches: what the result would be, and that result as a job."""

import hashlib
import json
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response

from app.api.deps import JobDep, JobToChangeDep, ServicesDep
from app.api.inflight import IdempotencyKey
from app.api.quotas import room
from app.api.raw import answers
from app.api.revisions import revision_request, send_preview
from app.api.routes.jobs import changed
from app.api.schemas import Job, RevisionSpec
from app.api.wishes import CutDep
from app.http.problems import Responses, problems

router = APIRouter(prefix="/jobs/{job_id}/revise", tags=["jobs"])

NUMBERS: Responses = {
    200: answers.ALSO[200]
    | {
        "description": "The numbers",
        "content": {answers.MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post(
    "",
    status_code=202,
    responses=problems(400, 404, 408, 409, 410, 413, 422, 500, 507),
)
def revise(
    spec: RevisionSpec,
    response: Response,
    job: JobToChangeDep,
    services: ServicesDep,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Make the result anew with a person's verdicts on its eigenpatches, as a new job.

    Nothing is decomposed again. The new job's report says of each eigenpatch who judged it, and can
    be revised in turn.
    """
    request = revision_request(services, job, spec)
    identity = json.dumps(request.params["revision"], sort_keys=True)
    new, _ = services.jobs.submit(
        request,
        idempotency_key=idempotency_key,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        room=room(services),
    )
    response.headers["Location"] = f"{services.settings.root_path}/v1/jobs/{new.id}"
    return changed(services, new)


@router.post(
    "/preview",
    response_class=Response,
    responses=problems(400, 404, 408, 409, 410, 413, 422, 429, 500, 507, also=NUMBERS),
)
async def preview(
    spec: RevisionSpec,
    job: JobDep,
    services: ServicesDep,
    cut: CutDep,
    _format: Annotated[Literal["raw"], Query(alias="format")] = "raw",
) -> Response:
    """What the result would be: one frame, or a region of it, as little-endian float32.

    For images of at most `max_raw_pixels` px; nothing is kept.
    """
    return await services.easel.drawn(
        job.request.owner, lambda: send_preview(services, job, spec, cut)
    )
