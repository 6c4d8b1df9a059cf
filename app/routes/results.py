"""What a job yields: images, the report, the eigenpatches."""

import csv
import hashlib
import io
import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response

from app.conditional import has_it
from app.deps import JobDep, Services, ServicesDep
from app.errors import Responses, problems
from app.negotiation import choose
from app.renditions import (
    Format,
    Name,
    artifact,
    negotiate,
    render,
    render_bundle,
    render_eigenpatch,
    render_eigenpatches,
    render_interim,
    render_provenance,
)
from worker.contract import JobRecord
from worker.formats import MEDIA_TYPES

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])

FormatQuery = Annotated[
    Format | None, Query(alias="format", description="Goes before the Accept header.")
]
DtypeQuery = Annotated[
    Literal["float", "source"],
    Query(
        description="`source`: the type of the uploaded image, rounded and clipped to its range."
    ),
]
# OpenAPI says by the answer's content types what may be accepted.
AcceptHeader = Annotated[str, Header(include_in_schema=False)]

FILES: Responses = {
    200: {
        "description": "The image",
        "content": {
            media_type: {"schema": {"type": "string", "format": "binary"}}
            for media_type in MEDIA_TYPES.values()
        },
    },
    206: {"description": "The range that was asked for"},
    304: {"description": "The client has it"},
}
PNG: Responses = {
    200: {
        "description": "The picture",
        "content": {"image/png": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {"description": "The range that was asked for"},
    304: {"description": "The client has it"},
}
ZIP: Responses = {
    200: {
        "description": "The bundle",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
    206: {"description": "The range that was asked for"},
    304: {"description": "The client has it"},
}
RECORD: Responses = {
    200: {
        "description": "The record",
        "content": {"application/ld+json": {"schema": {"type": "object"}}},
    },
    304: {"description": "The client has it"},
}
WithInput = Annotated[
    bool, Query(alias="input", description="`false`: the hash of the input must do.")
]
IMAGE_RESPONSES = problems(404, 406, 409, 410, 416, 422, 500, also=FILES)


def _serve(
    services: Services,
    request: Request,
    job: JobRecord,
    name: Name,
    stated: Format | None,
    accept: str,
    dtype: str = "float",
) -> Response:
    format_ = negotiate(accept, stated)
    return render(services, job, name, format_, source=dtype == "source").response(request)


@router.get("/result", response_class=Response, responses=IMAGE_RESPONSES)
def result(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    format_: FormatQuery = None,
    dtype: DtypeQuery = "float",
    accept: AcceptHeader = "*/*",
) -> Response:
    """The denoised image. TIFF is float32 and keeps pixel size and unit; NPY is exact."""
    return _serve(services, request, job, "result", format_, accept, dtype)


@router.get("/residual", response_class=Response, responses=IMAGE_RESPONSES)
def residual(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    format_: FormatQuery = None,
    accept: AcceptHeader = "*/*",
) -> Response:
    """The uploaded image minus the denoised one."""
    return _serve(services, request, job, "residual", format_, accept)


@router.get("/coverage", response_class=Response, responses=IMAGE_RESPONSES)
def coverage(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    format_: FormatQuery = None,
    accept: AcceptHeader = "*/*",
) -> Response:
    """How many patches overlap each pixel; where it is 0, the result holds the raw value."""
    return _serve(services, request, job, "coverage", format_, accept)


@router.get("/interim", response_class=Response, responses=IMAGE_RESPONSES)
def latest_interim(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    format_: FormatQuery = None,
    accept: AcceptHeader = "*/*",
) -> Response:
    """The latest interim result."""
    return render_interim(services, job, None, negotiate(accept, format_)).response(request)


@router.get("/interim/{n}", response_class=Response, responses=IMAGE_RESPONSES)
def interim(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    n: Annotated[int, Path(ge=1, description="Stacks it holds.")],
    format_: FormatQuery = None,
    accept: AcceptHeader = "*/*",
) -> Response:
    """The interim result after a number of stacks."""
    return render_interim(services, job, n, negotiate(accept, format_)).response(request)


@router.get(
    "/report",
    responses=problems(
        404,
        406,
        409,
        410,
        422,
        500,
        also={
            200: {
                "content": {
                    "application/json": {"schema": {"type": "object"}},
                    "text/csv": {"schema": {"type": "string"}},
                },
                "description": "JSON, or CSV if accepted",
            },
            304: {"description": "The client has it"},
        },
    ),
    response_class=Response,
)
def report(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    accept: AcceptHeader = "*/*",
) -> Response:
    """The eigenpatch classification report; with `Accept: text/csv`, one line per eigenpatch."""
    media_type = choose(accept, ["application/json", "text/csv"])
    content = _report(services, job)
    text = _csv(content) if media_type == "text/csv" else json.dumps(content, allow_nan=False)
    etag = f'"{hashlib.sha256(text.encode()).hexdigest()}"'
    headers = {"ETag": etag, "Vary": "Accept", "Cache-Control": "private, no-cache"}
    if has_it(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(text, media_type=media_type, headers=headers)


@router.get(
    "/eigenpatches.png",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=PNG),
)
def eigenpatches(request: Request, job: JobDep, services: ServicesDep) -> Response:
    """All offered eigenpatches with their utilities, the kept ones framed green."""
    return render_eigenpatches(services, job, _report(services, job)).response(request)


@router.get(
    "/provenance",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=RECORD),
)
def provenance(
    request: Request, job: JobDep, services: ServicesDep, with_input: WithInput = True
) -> Response:
    """How the result came about: an RO-Crate (Process Run Crate), as the bundle holds it."""
    return render_provenance(services, job, with_input=with_input).response(request)


@router.get(
    "/bundle.zip",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=ZIP),
)
def bundle(
    request: Request, job: JobDep, services: ServicesDep, with_input: WithInput = True
) -> Response:
    """Input, result, residual, report, eigenpatches and provenance, for `reucid verify`."""
    return render_bundle(services, job, with_input=with_input).response(request)


@router.get(
    "/eigenpatches/{stack}/{k}.png",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=PNG),
)
def eigenpatch(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    stack: Annotated[int, Path(ge=1)],
    k: Annotated[int, Path(ge=1, description="Counted from 1, by falling singular value.")],
) -> Response:
    """One eigenpatch; zero is mid-gray."""
    return render_eigenpatch(services, job, stack, k).response(request)


def _report(services: Services, job: JobRecord) -> dict[str, Any]:
    path, _ = artifact(services, job, "report.json")
    content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def _csv(content: dict[str, Any]) -> str:
    lists = {
        "singular_value": "singular_values",
        "relative_singular_value": "relative_singular_values",
        "energy_share": "energy_shares",
        "utility": "utilities",
        "kept": "kept",
    }
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["stack", "eigenpatch", *lists])
    for stack in content["stack_reports"]:
        columns = [stack[name] for name in lists.values()]
        for index, row in enumerate(zip(*columns, strict=True), start=1):
            writer.writerow([stack["stack"], index, *row])
    return text.getvalue()
