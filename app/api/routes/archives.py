"""Results of several jobs at once."""

import re
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field
from starlette.responses import StreamingResponse

from app.api.archives import MOST_JOBS, Order, Part, archived
from app.api.auth import Caller, ReaderDep
from app.api.deps import PATTERN, Services, ServicesDep
from app.api.schemas import ShortText
from app.api.wishes import FileFormat
from app.http.problems import FieldError, Limit, Problem, Responses, invalid, problems
from worker.ledger.batches import no_batch

router = APIRouter(prefix="/jobs", tags=["results"])

ARCHIVE: Responses = {
    200: {
        "description": "The archive, as it is made",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get(
    "/archive",
    response_class=StreamingResponse,
    responses=problems(404, 422, 500, also=ARCHIVE),
)
def archive(
    services: ServicesDep,
    caller: ReaderDep,
    batch: ShortText | None = None,
    ids: Annotated[
        list[Annotated[str, Field(pattern=PATTERN)]] | None,
        Query(alias="id", max_length=MOST_JOBS, description="A job's id; may be repeated."),
    ] = None,
    include: Annotated[
        list[Part], Query(min_length=1, max_length=4, description="May be repeated.")
    ] = ["result", "report"],  # noqa: B006  (FastAPI copies it)
    format_: Annotated[FileFormat, Query(alias="format", description="Of images.")] = "tiff",
) -> StreamingResponse:
    """Results of a batch, or of jobs by their ids, in one zip, named after the inputs.

    `contents.json` in it lists the files of each job, and what is missing and why.
    """
    wanted = ids or _of_batch(services, caller, batch)
    order = Order(list(dict.fromkeys(include)), format_)
    stream = archived(services, list(dict.fromkeys(wanted)), caller.sees, order)
    name = re.sub(r"[^A-Za-z0-9._-]", "_", batch or "") or "jobs"
    headers = {"Content-Disposition": f'attachment; filename="{name}.zip"'}
    return StreamingResponse(stream, media_type="application/zip", headers=headers)


def _of_batch(services: Services, caller: Caller, batch: str | None) -> list[str]:
    """The jobs of a batch, oldest first."""
    if batch is None:
        message = "got neither batch nor id, expected one of them"
        raise invalid([FieldError(field="query.batch", message=message)])
    found = services.jobs.page(owner=caller.sees, batch=batch, limit=MOST_JOBS + 1)
    if not found:
        raise no_batch(batch)
    if len(found) > MOST_JOBS:
        raise Problem(
            422,
            "too_many_jobs",
            f"got a batch of more than {MOST_JOBS} jobs, at most so many come in one archive "
            "(max_archived_jobs): name some of them by id",
            limit=Limit(name="max_archived_jobs", value=MOST_JOBS, got=len(found)),
        )
    return [job.id for job in reversed(found)]
