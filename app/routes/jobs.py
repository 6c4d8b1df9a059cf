"""Jobs: submitted, watched, stopped, repeated, removed."""

import hashlib
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, ValidationError

from app.conditional import has_it
from app.deps import JobDep, OwnerDep, Services, ServicesDep
from app.errors import FieldError, Problem, invalid, invalid_fields, problems
from app.events import event_data, job_events, until_terminal
from app.routes.images import FILES
from app.schemas import Job, JobFields, JobForm, JobList, JobSpec
from app.uploads import accept, media_type, read_json, receive_form, upload_folder
from worker.contract import ImageRecord, JobRecord, JobRequest, State
from worker.wake import wake

router = APIRouter(prefix="/jobs", tags=["jobs"])

LONGEST_WAIT = 60.0  # s
TEXT: dict[str, Any] = {"type": "string"}
SUBMISSION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/JobSpec"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": FILES,
                        "params": TEXT | {"description": "Params, as JSON."},
                        "priority": {"$ref": "#/components/schemas/Priority"},
                        "external_id": TEXT,
                        "sample_id": TEXT,
                        "labels": TEXT | {"description": "A JSON object of strings."},
                        "metadata": TEXT | {"description": "A JSON object."},
                    },
                }
            },
        },
    }
}

Wait = Annotated[
    float, Query(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the job to end.")
]
Schema = TypeVar("Schema", bound=BaseModel)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        description="Repeating a submission with its key makes no second job.",
    ),
]
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
    response: Response,
    services: ServicesDep,
    owner: OwnerDep,
    idempotency_key: IdempotencyKey = None,
    prefer: Prefer = None,
) -> Job:
    """Submit a job: a multipart form with `file`, or JSON with the id of an uploaded image."""
    wait = _preferred_wait(prefer)
    image, fields = await _read_submission(request, services, owner)
    job = await run_in_threadpool(_submit, services, owner, image, fields, idempotency_key)
    if wait:
        job = await until_terminal(
            services.ledger, services.wakes, job.id, owner=owner, seconds=wait
        )
    response.status_code = 200 if job.state.terminal and wait else 202
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return await run_in_threadpool(_view, services, job)


@router.get("", responses=problems(404, 422, 500))
def index(
    services: ServicesDep,
    owner: OwnerDep,
    state: State | None = None,
    external_id: str | None = None,
    label: Annotated[str | None, Query(pattern="^[^=]+=.*$", description="name=value")] = None,
    cursor: Annotated[
        str | None, Query(pattern="^[0-9]{1,18}$", description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> JobList:
    """Jobs, newest first."""
    name, _, value = (label or "").partition("=")
    records = services.ledger.jobs(
        owner=owner,
        state=state,
        external_id=external_id,
        label=(name, value) if label else None,
        before=None if cursor is None else int(cursor),
        limit=limit + 1,
    )
    page = records[:limit]
    return JobList(
        jobs=[_view(services, record) for record in page],
        next=str(page[-1].serial) if len(records) > limit else None,
    )


@router.get(
    "/{job_id}",
    response_model=Job,
    responses=problems(404, 422, 500, also={304: {"description": "Nothing changed"}}),
)
async def show(
    request: Request,
    response: Response,
    job: JobDep,
    services: ServicesDep,
    wait: Wait = 0.0,
) -> Any:
    """A job; with `wait`, once it is terminal or the time is up."""
    if wait:
        job = await until_terminal(
            services.ledger, services.wakes, job.id, owner=job.request.owner, seconds=wait
        )
    view = await run_in_threadpool(_view, services, job)
    etag = _etag(view)
    if has_it(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return view


@router.get(
    "/{job_id}/events",
    response_class=EventSourceResponse,
    responses=problems(404, 422, 500),
)
async def events(
    job: JobDep,
    services: ServicesDep,
    last_event_id: Annotated[int, Header(ge=0)] = 0,
) -> AsyncIterator[ServerSentEvent]:
    """The job's history and what happens to it from now on, as server-sent events."""
    async for event in job_events(services.ledger, services.wakes, job.id, last_event_id):
        yield ServerSentEvent(id=str(event.id), event=event.type, data=event_data(event))


@router.post("/{job_id}/cancel", status_code=202, responses=problems(404, 422, 500))
def cancel(response: Response, job: JobDep, services: ServicesDep, owner: OwnerDep) -> Job:
    """Stop a job and forget what it has computed so far; 200 if it was terminal already."""
    response.status_code = 200 if job.state.terminal else 202
    return _changed(services, services.ledger.cancel(job.id, owner=owner))


@router.post("/{job_id}/finish", status_code=202, responses=problems(404, 422, 500))
def finish(response: Response, job: JobDep, services: ServicesDep, owner: OwnerDep) -> Job:
    """Stop a job after its current stack and keep what it has (the paper's interim_required)."""
    response.status_code = 200 if job.state.terminal else 202
    return _changed(services, services.ledger.request_finish(job.id, owner=owner))


@router.post("/{job_id}/retry", status_code=202, responses=problems(404, 409, 422, 500))
def retry(response: Response, job: JobDep, services: ServicesDep) -> Job:
    """Submit the job again, as a new one."""
    if not job.state.terminal:
        raise Problem(409, "conflict", f"the job is {job.state}; only an ended one can be retried")
    again = JobRequest(**{**vars(job.request), "retry_of": job.id})
    new, _ = services.ledger.submit(again)
    response.headers["Location"] = f"/v1/jobs/{new.id}"
    return _changed(services, new)


@router.delete("/{job_id}", status_code=204, responses=problems(404, 409, 422, 500))
def delete(job: JobDep, services: ServicesDep, owner: OwnerDep) -> None:
    """Remove an ended job and all its files."""
    services.ledger.delete_job(job.id, owner=owner)
    services.store.remove_job(job.id)


async def _read_submission(
    request: Request, services: Services, owner: str
) -> tuple[ImageRecord, JobFields]:
    match media_type(request):
        case "application/json":
            spec = _validate(JobSpec, await read_json(request))
            spec.params.checked()
            image = await run_in_threadpool(services.ledger.image, spec.image_id, owner=owner)
            spec.params.check(image.contents)
            return image, spec
        case "multipart/form-data":
            with upload_folder(services) as folder:
                form = await receive_form(request, folder, services.settings)
                fields = _form_fields(form.fields)
                fields.params.checked()
                image, _ = await accept(services, form.file, owner=owner, check=fields.params.check)
            return image, fields
        case other:
            raise Problem(
                415,
                "unsupported_media_type",
                f"got Content-Type {other!r}, expected multipart/form-data or application/json",
            )


def _form_fields(fields: dict[str, str]) -> JobForm:
    """The text fields of a form; those that hold objects are JSON."""
    values: dict[str, Any] = dict(fields)
    for name in {"params", "labels", "metadata"} & fields.keys():
        try:
            values[name] = json.loads(fields[name])
        except ValueError as error:
            message = f"got {fields[name][:80]!r}, expected a JSON object ({error})"
            raise invalid([FieldError(field=name, message=message)]) from error
    return _validate(JobForm, json.dumps(values).encode())


def _validate(schema: type[Schema], body: bytes) -> Schema:
    try:
        return schema.model_validate_json(body)
    except ValidationError as error:
        raise invalid_fields(error.errors()) from error


def _submit(
    services: Services, owner: str, image: ImageRecord, fields: JobFields, key: str | None
) -> JobRecord:
    wish = fields.model_dump(mode="json", exclude={"image_id"})
    identity = json.dumps([owner, image.sha256, wish], sort_keys=True)
    job, _ = services.ledger.submit(
        JobRequest(owner=owner, image_id=image.id, **wish | {"priority": fields.priority}),
        idempotency_key=key,
        fingerprint=hashlib.sha256(identity.encode()).hexdigest() if key is not None else None,
    )
    wake(services.redis, job.id)
    return job


def _changed(services: Services, job: JobRecord) -> Job:
    wake(services.redis, job.id)
    return _view(services, job)


def _view(services: Services, job: JobRecord) -> Job:
    queued = job.state is State.QUEUED
    position = services.ledger.queue_position(job.id) if queued else None
    return Job.of(job, queue_position=position, now=time.time())


def _etag(job: Job) -> str:
    """Of everything that is news; the estimates would make every answer a new one."""
    lasting = job.model_dump_json(exclude={"eta_s", "queue_position"})
    return f'"{hashlib.sha256(lasting.encode()).hexdigest()[:32]}"'


def _preferred_wait(prefer: str | None) -> float:
    stated = re.search(r"\bwait=(\d+)", prefer or "")
    return min(LONGEST_WAIT, float(stated.group(1))) if stated else 0.0
