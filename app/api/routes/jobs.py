"""Jobs: submitted, watched, stopped, repeated, removed."""

import hashlib
import json
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BeforeValidator, Field

from app.api.auth import Caller, ReaderDep, SubmitterDep
from app.api.deps import JobDep, JobToChangeDep, Services, ServicesDep
from app.api.event_schemas import event_data
from app.api.events import job_events, until_terminal
from app.api.inflight import IdempotencyKey
from app.api.quotas import check_size, check_space_for, room
from app.api.routes.images import FILES
from app.api.schemas import (
    Job,
    JobChange,
    JobFields,
    JobForm,
    JobList,
    JobSpec,
    JobSummary,
    ShortText,
)
from app.api.submissions import described, of_form, validated
from app.api.uploads import (
    accept,
    incoming,
    media_type,
    read_json,
    receive_form,
    unsupported,
)
from app.http.conditional import not_modified, tagged
from app.http.paging import PagingDep
from app.http.problems import (
    Problem,
    Responses,
    problems,
)
from app.http.requestid import request_id
from worker.contract import ImageRecord, JobRecord, JobRequest, State
from worker.denoising.params import JobParams
from worker.faultpoints import reached
from worker.wake import wake

log = structlog.get_logger()

router = APIRouter(prefix="/jobs", tags=["jobs"])

LONGEST_WAIT = 60.0  # s
MICROSECOND = 1e-6  # s
LAST_EVENT_ID = 2**63 - 1  # what a database can hold
SUBMISSION = described("JobSpec", FILES, name="batch")

DATE = re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}.*")


def _written(moment: Any) -> Any:
    """A moment as a date, which a number is not."""
    if not isinstance(moment, str) or not DATE.fullmatch(moment):
        raise ValueError(f"got {str(moment)[:40]!r}, expected a date, as in 2026-11-26T09:30:00Z")
    return moment


Wait = Annotated[
    float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the job to end.")
]
Moment = Annotated[datetime, BeforeValidator(_written)]

Prefer = Annotated[
    str | None, Header(description="`wait=N`: answer when the job is done, or after N seconds.")
]


@router.post(
    "",
    status_code=202,
    response_model=Job,
    openapi_extra=SUBMISSION,
    responses=problems(
        400,
        404,
        408,
        409,
        410,
        413,
        415,
        422,
        500,
        507,
        also={200: {"model": Job, "description": "Done within `Prefer: wait`"}},
    ),
)
async def submit(
    request: Request,
    services: ServicesDep,
    caller: SubmitterDep,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Response:
    """Submit a job: a multipart form with `file`, or JSON with the id of an uploaded image."""
    wait = _preferred_wait(prefer)
    match media_type(request):
        case "application/json":
            spec = validated(JobSpec, await read_json(request))
            job = await run_in_threadpool(_submit_image, spec, services, caller, idempotency_key)
        case "multipart/form-data":
            job = await _submit_file(request, services, caller, idempotency_key)
        case other:
            raise unsupported(other, "multipart/form-data or application/json")
    if wait:
        try:
            ended = await _ended(services, caller, job.id, job.owner, wait)
            job = await run_in_threadpool(_view, services, ended)
        except Problem:  # no place to wait, but the job is accepted
            wait = 0.0
    headers = {"Location": f"{services.settings.root_path}/v1/jobs/{job.id}"}
    if wait:
        headers["Preference-Applied"] = f"wait={wait:g}"
    return _answer(job, 200 if job.state.terminal and wait else 202, headers)


@router.get("", responses=problems(422, 500))
def index(
    paging: PagingDep,
    services: ServicesDep,
    caller: ReaderDep,
    state: State | None = None,
    external_id: ShortText | None = None,
    sample_id: ShortText | None = None,
    batch: ShortText | None = None,
    label: Annotated[
        list[Annotated[str, Field(pattern=r"^[^=\x00]+=[^\x00]*$")]] | None,
        Query(max_length=8, description="name=value; may be repeated, and a job then has all."),
    ] = None,
    name: Annotated[
        ShortText | None, Query(description="Part of the input's file name, in any case.")
    ] = None,
    created_after: Annotated[
        Moment | None, Query(description="From this moment on; UTC if it does not say.")
    ] = None,
    created_before: Annotated[
        Moment | None, Query(description="Before this moment; UTC if it does not say.")
    ] = None,
) -> JobList:
    """Jobs, newest first, without metadata; a page ends at `limit` or at about a megabyte."""
    (before,) = paging.after(int) or (None,)
    records = services.jobs.page(
        owner=caller.sees,
        state=state,
        external_id=external_id,
        sample_id=sample_id,
        batch=batch,
        having=[(n, v) for n, _, v in (each.partition("=") for each in label or ())],
        name=name,
        created_after=_seconds(created_after),
        created_before=_seconds(created_before),
        before=before,
        limit=paging.wanted,
    )
    queued = [record.id for record in records[: paging.limit] if record.state is State.QUEUED]
    positions = services.jobs.queue_positions(queued) if queued else {}
    now, root = time.time(), services.settings.root_path
    page, after = paging.cut(
        records,
        lambda record: JobSummary.of(
            record, queue_position=positions.get(record.id), now=now, root=root
        ),
        lambda record: (record.serial,),
        root,
    )
    return JobList(jobs=page, next=after)


@router.get(
    "/{job_id}",
    response_model=Job,
    responses=problems(404, 410, 422, 500, also={304: {"description": "Nothing changed"}}),
)
async def show(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    caller: ReaderDep,
    wait: Wait = 0.0,
) -> Any:
    """A job; with `wait`, once it is terminal or the time is up."""
    if wait:
        job = await _ended(services, caller, job.id, job.request.owner, wait)
    view = await run_in_threadpool(_view, services, job)
    headers = tagged(_etag(view))
    return not_modified(request, headers) or _answer(view, 200, headers)


def _answer(job: Job, status: int, headers: dict[str, str]) -> Response:
    """A job as it is: FastAPI would validate it once more, and clients ask for little else."""
    return Response(job.model_dump_json(), status, headers, media_type="application/json")


async def _ended(
    services: Services, caller: Caller, job_id: str, owner: str, wait: float
) -> JobRecord:
    """A job once it is terminal, or the time is up; its waiter has a place meanwhile."""
    with services.wakes.waiting.place(caller.key_id):
        return await until_terminal(
            services.database,
            services.wakes,
            job_id,
            owner=owner,
            seconds=wait,
            key_id=caller.key_id,
        )


async def _streaming(services: ServicesDep, caller: ReaderDep) -> AsyncIterator[str | None]:
    """The key of a reader of events, who has a place until its stream ends."""
    with services.wakes.waiting.place(caller.key_id):
        yield caller.key_id


PlaceDep = Annotated[str | None, Depends(_streaming)]


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses=problems(404, 410, 422, 500),
)
async def events(
    job: JobDep,
    services: ServicesDep,
    key_id: PlaceDep,
    last_event_id: Annotated[int, Header(ge=0, le=LAST_EVENT_ID)] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """The job's history and what happens to it from now on, as server-sent events."""
    async for event in job_events(
        services.database, services.wakes, job.id, last_event_id, key_id=key_id
    ):
        yield ServerSentEvent(id=str(event.id), event=event.type, data=event_data(event))


ENDED: Responses = {200: {"model": Job, "description": "It had ended before"}}


@router.post(
    "/{job_id}/cancel", status_code=202, responses=problems(404, 410, 422, 500, also=ENDED)
)
def cancel(response: Response, job: JobToChangeDep, services: ServicesDep) -> Job:
    """Stop a job and forget what it has computed so far; 200 if it was terminal already."""
    response.status_code = 200 if job.state.terminal else 202
    return changed(services, services.jobs.cancel(job.id, owner=job.request.owner))


@router.post(
    "/{job_id}/finish", status_code=202, responses=problems(404, 410, 422, 500, also=ENDED)
)
def finish(response: Response, job: JobToChangeDep, services: ServicesDep) -> Job:
    """Stop a job after its current stack and keep what it has (the paper's interim_required)."""
    response.status_code = 200 if job.state.terminal else 202
    return changed(services, services.jobs.request_finish(job.id, owner=job.request.owner))


@router.post("/{job_id}/retry", status_code=202, responses=problems(404, 409, 410, 422, 500, 507))
def retry(
    response: Response,
    job: JobToChangeDep,
    services: ServicesDep,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """Submit the job again, as a new one."""
    if not job.state.terminal:
        raise Problem(409, "conflict", f"the job is {job.state}; only an ended one can be retried")
    check_space_for(services, job.request.owner, idempotency_key)
    services.models.expect(JobParams.from_json(job.request.params).choice.model)
    again = JobRequest(**{**vars(job.request), "retry_of": job.id, "request_id": request_id()})
    identity = f"retry {job.id}"
    new, _ = services.jobs.submit(
        again,
        idempotency_key=idempotency_key,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        room=room(services),
    )
    response.headers["Location"] = f"{services.settings.root_path}/v1/jobs/{new.id}"
    return changed(services, new)


@router.patch("/{job_id}", responses=problems(400, 404, 410, 413, 415, 422, 500))
def describe(job: JobToChangeDep, services: ServicesDep, change: JobChange) -> Job:
    """Change what a job is called: its ids, its batch and its labels."""
    changes = change.model_dump(exclude={"labels"}, exclude_unset=True)
    owner = job.request.owner
    return _view(
        services, services.jobs.describe(job.id, owner=owner, changes=changes, named=change.labels)
    )


@router.delete("/{job_id}", status_code=204, responses=problems(404, 409, 410, 422, 500))
def delete(job: JobToChangeDep, services: ServicesDep) -> None:
    """Remove an ended job and all its files."""
    services.jobs.delete(job.id, owner=job.request.owner)
    services.store.remove_job(job.id)
    wake(services.redis, job.id)


def _submit_image(spec: JobSpec, services: Services, caller: Caller, key: str | None) -> Job:
    """A job on an uploaded image; it is the image's owner's, also where an admin submits it."""
    params = spec.params.of_job()
    services.models.expect(params.choice.model)
    image = services.images.get(spec.image_id, owner=caller.sees)
    params.check(image.contents)
    if key is None:  # with one, the job may be there already
        services.jobs.check_room(image.owner, room(services))
    check_space_for(services, image.owner, key)
    return _submit(services, image, spec, key)


async def _submit_file(
    request: Request, services: Services, caller: Caller, key: str | None
) -> Job:
    """A job on a file that comes with it."""
    if key is None:  # with one, the job may be there already
        await run_in_threadpool(services.jobs.check_room, caller.owner, room(services))
    async with services.in_flight.taken(caller.owner, key):
        size = check_size(services, request)
        async with incoming(services, caller.owner) as sent:
            await run_in_threadpool(sent.space.promise_to, size, key)
            form = await receive_form(request, sent, services)
            fields = of_form(JobForm, form.fields)
            params = fields.params.of_job()
            await run_in_threadpool(services.models.expect, params.choice.model)
            file = await run_in_threadpool(form.received)
            image, _ = await accept(
                services, file, owner=caller.owner, space=sent.space, check=params.check
            )
        return await run_in_threadpool(_submit, services, image, fields, key)


def _submit(services: Services, image: ImageRecord, fields: JobFields, key: str | None) -> Job:
    """Enter a job, which belongs to its image's owner."""
    wish = fields.model_dump(mode="json", exclude={"image_id"})
    stated = fields.model_dump(mode="json", exclude={"image_id"}, exclude_defaults=True)
    identity = json.dumps([image.owner, image.sha256, stated], sort_keys=True)
    job, _ = services.jobs.submit(
        JobRequest(
            owner=image.owner,
            image_id=image.id,
            request_id=request_id(),
            **wish | {"priority": fields.priority},
        ),
        idempotency_key=key,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest(),
        room=room(services),
    )
    reached("submit.committed")
    log.info("accepted", job_id=job.id, owner=image.owner)
    return changed(services, job)


def changed(services: Services, job: JobRecord) -> Job:
    """A job that was just entered or changed, once who waits for it was told."""
    wake(services.redis, job.id)
    return _view(services, job)


def _view(services: Services, job: JobRecord) -> Job:
    queued = job.state is State.QUEUED
    position = services.jobs.queue_position(job.id) if queued else None
    return Job.of(job, queue_position=position, now=time.time(), root=services.settings.root_path)


def _seconds(moment: datetime | None) -> float | None:
    """Since the epoch; in UTC where nothing else is said.

    A little earlier, so that a moment as an answer tells it, rounded, is that of its job.
    """
    if moment is None:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - MICROSECOND


def _etag(job: Job) -> str:
    """Of everything that is news; the estimates would make every answer a new one."""
    lasting = job.model_dump_json(exclude={"eta_s", "queue_position"})
    return f'"{hashlib.sha256(lasting.encode()).hexdigest()[:32]}"'


def _preferred_wait(prefer: str | None) -> float:
    stated = re.search(r"\bwait=(\d+)", prefer or "")
    return min(LONGEST_WAIT, float(stated.group(1))) if stated else 0.0
