"""Batches: many images denoised alike, watched, stopped and fetched together."""

import hashlib
import json
from typing import Annotated
from uuid import uuid4

import structlog
from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from app.api.archives import MOST_JOBS
from app.api.auth import Caller, ReaderDep, SubmitterDep
from app.api.batch_schemas import Batch, BatchList, BatchSpec, batch_links
from app.api.errors import to_problem
from app.api.quotas import check_space, room
from app.api.schemas import PART_OF_ADDRESS
from app.api.services import Services, ServicesDep
from app.api.summaries import summary
from app.http.paging import Cursor, decode, encode, fitting, link
from app.http.problems import Problem, Responses, problems
from app.http.requestid import request_id
from reucid_core.errors import ReucidError
from worker.contract import JobRequest
from worker.denoising.params import JobParams
from worker.formats import FormatError
from worker.ledger.refusals import LedgerError
from worker.wake import wake

log = structlog.get_logger()

router = APIRouter(prefix="/batches", tags=["batches"])

Name = Annotated[str, Path(max_length=200, pattern=PART_OF_ADDRESS)]
ENDED: Responses = {200: {"model": Batch, "description": "All jobs had ended before"}}
TABLE: Responses = {
    200: {"description": "A line a job", "content": {"text/csv": {"schema": {"type": "string"}}}}
}
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="Repeating a submission with its key makes no second job of any image.",
    ),
]


@router.post("", status_code=202, responses=problems(400, 404, 409, 410, 413, 422, 500, 507))
async def submit(
    spec: BatchSpec,
    response: Response,
    services: ServicesDep,
    caller: SubmitterDep,
    idempotency_key: IdempotencyKey = None,
) -> Batch:
    """Denoise uploaded images alike: a job for each, all accepted or none."""
    async with services.in_flight.taken(caller.owner, idempotency_key):
        name = await run_in_threadpool(_submit, services, caller, spec, idempotency_key)
    root = services.settings.root_path
    response.headers["Location"] = batch_links(name, root)["self"]
    return await run_in_threadpool(show, name, services, caller)


@router.get("", responses=problems(422, 500))
def index(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: ReaderDep,
    cursor: Cursor | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> BatchList:
    """Own batches, that with the newest job first."""
    before = None if cursor is None else decode(cursor, int)[0]
    records = services.batches.page(owner=caller.owner, before=before, limit=limit + 1)
    root = services.settings.root_path
    page = fitting(Batch.of(record, root) for record in records[:limit])
    after = encode(records[len(page) - 1].latest) if len(records) > len(page) else None
    if after is not None:
        response.headers["Link"] = link(request, root, after)
    return BatchList(batches=page, next=after)


@router.get("/{batch}", responses=problems(404, 422, 500))
def show(batch: Name, services: ServicesDep, caller: ReaderDep) -> Batch:
    """An own batch and where its jobs stand."""
    record = services.batches.get(batch, owner=caller.owner)
    return Batch.of(record, services.settings.root_path)


@router.post("/{batch}/cancel", status_code=202, responses=problems(404, 422, 500, also=ENDED))
def cancel(batch: Name, response: Response, services: ServicesDep, caller: SubmitterDep) -> Batch:
    """Cancel all jobs of a batch that wait or run; what has ended stays. 200 if all had."""
    canceled = services.batches.cancel(batch, owner=caller.owner)
    for job_id in canceled:
        wake(services.redis, job_id)
    response.status_code = 202 if canceled else 200
    return show(batch, services, caller)


@router.get(
    "/{batch}/summary.csv",
    response_class=StreamingResponse,
    responses=problems(404, 422, 500, also=TABLE),
)
def table(batch: Name, services: ServicesDep, caller: ReaderDep) -> StreamingResponse:
    """What came of each job of a batch, oldest first: state, times, verdict, error.

    Of more jobs than come in one archive, those submitted last.
    """
    services.batches.get(batch, owner=caller.owner)  # 404 when there is none
    found = services.jobs.page(owner=caller.owner, batch=batch, limit=MOST_JOBS)
    headers = {"Content-Disposition": 'attachment; filename="summary.csv"'}
    return StreamingResponse(summary(services, found[::-1]), media_type="text/csv", headers=headers)


def _submit(services: Services, caller: Caller, spec: BatchSpec, key: str | None) -> str:
    """Enter all jobs of a batch; its name."""
    params = spec.params.of_job()
    services.models.expect(params.choice.model)
    stated = spec.model_dump(mode="json", exclude_defaults=True)
    identity = json.dumps([caller.owner, stated], sort_keys=True)
    fingerprint = hashlib.sha256(identity.encode()).hexdigest()
    repeated = key is not None and services.jobs.has_key(caller.owner, key)
    if not repeated:  # what repeats a submission takes no more than that has taken
        check_space(services, caller.owner, 0)
        for number, image_id in enumerate(spec.image_ids):
            _check(services, caller, params, number, image_id)
    fields = spec.model_dump(mode="json", exclude={"image_ids", "name", "priority"})
    name = spec.name or uuid4().hex
    requests = [
        JobRequest(
            owner=caller.owner,
            image_id=image_id,
            priority=spec.priority,
            batch=name,
            request_id=request_id(),
            **fields,
        )
        for image_id in spec.image_ids
    ]
    ids, new = services.jobs.submit_all(
        requests,
        idempotency_key=key,
        fingerprint=fingerprint if key is not None else None,
        room=room(services),
    )
    first = services.jobs.get(ids[0], owner=caller.owner)
    log.info("accepted", batch=name, jobs=len(ids), owner=caller.owner, new=new)
    wake(services.redis, ids[0])
    return first.request.batch or name


def _check(
    services: Services, caller: Caller, params: JobParams, number: int, image_id: str
) -> None:
    """Refuse what would fail later, and say of which image."""
    try:
        params.check(services.images.get(image_id, owner=caller.owner).contents)
    except (Problem, LedgerError, ReucidError, FormatError) as error:
        problem = to_problem(error)
        problem.detail = f"image_ids.{number} ({image_id}): {problem.detail}"
        raise problem from error
