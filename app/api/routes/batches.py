"""Batches: many images denoised alike, watched, stopped and fetched together."""

import hashlib
import json
from collections.abc import Sequence
from typing import Annotated, NamedTuple
from uuid import uuid4

import structlog
from fastapi import APIRouter, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from app.api.archives import MOST_JOBS
from app.api.auth import Caller, ReaderDep, SubmitterDep
from app.api.batch_schemas import Batch, BatchFields, BatchForm, BatchList, BatchSpec, batch_links
from app.api.errors import to_problem
from app.api.image_zips import accept_all
from app.api.inflight import IdempotencyKey
from app.api.quotas import check_size, check_space, is_repetition, room
from app.api.routes.images import FILE
from app.api.schemas import PART_OF_ADDRESS
from app.api.services import Services, ServicesDep
from app.api.submissions import described, of_form, validated
from app.api.summaries import summary
from app.api.uploads import incoming, media_type, read_json, receive_form, unsupported
from app.http.paging import PagingDep
from app.http.problems import FieldError, Problem, Responses, invalid, problems
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
SUBMISSION = described("BatchSpec", FILE | {"description": "A zip of images."}, name="name")


@router.post(
    "",
    status_code=202,
    response_model=Batch,
    openapi_extra=SUBMISSION,
    responses=problems(400, 404, 408, 409, 410, 413, 415, 422, 500, 507),
)
async def submit(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: SubmitterDep,
    idempotency_key: IdempotencyKey = None,
) -> Batch:
    """Denoise images alike, all accepted or none: uploaded ones, by their ids, or those of a zip.

    A zip is a multipart form with `file`. Each of its files is an image, but for the SER files
    beside an EMI file, which go with that; folders may be in it. The first file that is refused
    is named in `detail`, it and others in `errors`.
    """
    async with services.in_flight.taken(caller.owner, idempotency_key):
        match media_type(request):
            case "application/json":
                name = await _submit_images(request, services, caller, idempotency_key)
            case "multipart/form-data":
                name = await _submit_zip(request, services, caller, idempotency_key)
            case other:
                raise unsupported(other, "application/json or multipart/form-data")
    root = services.settings.root_path
    response.headers["Location"] = batch_links(name, root)["self"]
    return await run_in_threadpool(show, name, services, caller)


@router.get("", responses=problems(422, 500))
def index(paging: PagingDep, services: ServicesDep, caller: ReaderDep) -> BatchList:
    """Own batches, that with the newest job first."""
    (before,) = paging.after(int) or (None,)
    root = services.settings.root_path
    page, after = paging.cut(
        services.batches.page(owner=caller.owner, before=before, limit=paging.wanted),
        lambda record: Batch.of(record, root),
        lambda record: (record.latest,),
        root,
    )
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


async def _submit_images(
    request: Request, services: Services, caller: Caller, key: str | None
) -> str:
    """A batch of uploaded images; its name."""
    spec = validated(BatchSpec, await read_json(request))
    return await run_in_threadpool(_of_images, services, caller, spec, key)


def _of_images(services: Services, caller: Caller, spec: BatchSpec, key: str | None) -> str:
    params = spec.params.of_job()
    services.models.expect(params.choice.model)
    if not is_repetition(services, caller.owner, key):
        check_space(services, caller.owner, 0)
        for number, image_id in enumerate(spec.image_ids):
            _check(services, caller, params, number, image_id)
    entry = Entry(key, _fingerprint(caller, spec, spec.image_ids))
    return _enter(services, caller, spec, spec.image_ids, entry)


async def _submit_zip(request: Request, services: Services, caller: Caller, key: str | None) -> str:
    """A batch of the images in a zip; its name."""
    size = check_size(services, request)
    async with incoming(services, caller.owner) as sent:
        await run_in_threadpool(sent.space.promise_to, size, key)
        form = await receive_form(request, sent, services)
        fields = of_form(BatchForm, form.fields)
        params = fields.params.of_job()
        await run_in_threadpool(services.models.expect, params.choice.model)
        if len(form.files) != 1:
            message = f"got {len(form.files)} files, expected one: a zip of images"
            raise invalid([FieldError(field="file", message=message)])
        file = form.files[0].received()
        entry = Entry(key, _fingerprint(caller, fields, [file.sha256]))
        first = await run_in_threadpool(services.jobs.repeated, caller.owner, *entry)
        if first is not None:
            return first.request.batch or first.id
        images = await accept_all(services, file, sent, owner=caller.owner, check=params.check)
    ids = [image.id for image in images]
    return await run_in_threadpool(_enter, services, caller, fields, ids, entry)


class Entry(NamedTuple):
    """What tells a submission from others."""

    key: str | None
    fingerprint: str


def _fingerprint(caller: Caller, fields: BatchFields, images: Sequence[str]) -> str:
    """The same for the same wishes of the same images, by ids or by the digest of a zip."""
    stated = fields.model_dump(mode="json", exclude_defaults=True, exclude={"image_ids"})
    identity = json.dumps([caller.owner, *images, stated], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()


def _enter(
    services: Services, caller: Caller, fields: BatchFields, image_ids: Sequence[str], entry: Entry
) -> str:
    """Enter all jobs of a batch; its name."""
    shared = fields.model_dump(mode="json", exclude={"image_ids", "name", "priority"})
    name = fields.name or uuid4().hex
    requests = [
        JobRequest(
            owner=caller.owner,
            image_id=image_id,
            priority=fields.priority,
            batch=name,
            request_id=request_id(),
            **shared,
        )
        for image_id in image_ids
    ]
    entered, new = services.jobs.submit_all(
        requests,
        idempotency_key=entry.key,
        fingerprint=entry.fingerprint,
        room=room(services),
    )
    log.info("accepted", batch=name, jobs=len(entered), owner=caller.owner, new=new)
    wake(services.redis, entered[0].id)
    return entered[0].request.batch or name


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
