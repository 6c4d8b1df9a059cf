"""What a job yields: images, the report, the eigenpatches."""

import csv
import hashlib
import io
import json
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response

from app.api.deps import JobDep, Services, ServicesDep
from app.api.renditions import (
    CLIPPED,
    Format,
    Name,
    Wish,
    artifact,
    chosen_signal,
    negotiate,
    render,
    render_bundle,
    render_eigenpatch,
    render_eigenpatches,
    render_interim,
    render_picture,
    render_provenance,
)
from app.api.schemas import Colormap, Signal
from app.http.conditional import has_it
from app.http.files import sends
from app.http.negotiation import choose
from app.http.problems import Responses, problems
from worker.contract import JobRecord
from worker.formats import MEDIA_TYPES, Look, parse_percentiles

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])

FormatQuery = Annotated[
    Format | None, Query(alias="format", description="Goes before the Accept header.")
]
DtypeQuery = Annotated[
    Literal["float", "source"],
    Query(
        description="`source`: the type of the uploaded image, rounded half to even and clipped to "
        f"its range; the header `{CLIPPED}` says how many pixels were out of it."
    ),
]
LAST_FRAME = 10**6
FrameQuery = Annotated[
    int | None,
    Query(
        ge=0,
        le=LAST_FRAME,
        description="One frame of a stack, from 0. A picture shows the first by default.",
    ),
]
EigenpatchFrameQuery = Annotated[int, Query(ge=0, le=LAST_FRAME, description="Of a stack, from 0.")]
PERCENTILE = r"(100|[0-9]{1,2}(\.[0-9]{1,4})?)"
PercentilesQuery = Annotated[
    str | None,
    Query(
        pattern=rf"^{PERCENTILE},{PERCENTILE}$",
        description="Of a picture: percentiles of the pixels shown darkest and brightest; "
        "0.1,99.9 by default.",
    ),
]
ColormapQuery = Annotated[Colormap | None, Query(description="Of a picture; gray by default.")]
ScalebarQuery = Annotated[
    bool, Query(description="Of a picture: a scale bar in a strip below the image.")
]
# OpenAPI says by the answer's content types what may be accepted.
AcceptHeader = Annotated[str, Header(include_in_schema=False)]

FILES = sends("The image", *MEDIA_TYPES.values())
PNG = sends("The picture", "image/png")
ZIP = sends("The bundle", "application/zip")
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


def _look(
    frame: FrameQuery = None,
    percentiles: PercentilesQuery = None,
    colormap: ColormapQuery = None,
    scalebar: ScalebarQuery = False,
) -> tuple[int | None, Look | None]:
    """Which frame is wanted, and how a picture of it looks, if otherwise than usual."""
    if percentiles is None and colormap is None and not scalebar:
        return frame, None
    look = Look(colormap=colormap or "gray", scalebar=scalebar)
    return frame, look if percentiles is None else replace(
        look, percentiles=parse_percentiles(percentiles)
    )


LookDep = Annotated[tuple[int | None, Look | None], Depends(_look)]


def _serve(
    services: Services, request: Request, job: JobRecord, name: Name, wish: Wish
) -> Response:
    if wish.look is not None and wish.format == "png":
        return render_picture(request, services, job, name, wish)
    return render(services, job, name, wish).response(request)


@router.get("/result", response_class=Response, responses=IMAGE_RESPONSES)
def result(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    look: LookDep,
    format_: FormatQuery = None,
    dtype: DtypeQuery = "float",
    accept: AcceptHeader = "*/*",
) -> Response:
    """The denoised image, or stack of images, with the calibration of the source.

    TIFF is float32: ImageJ's for an image, OME-TIFF for a stack. NPY and HSPY are exact.
    """
    wish = Wish(negotiate(accept, format_), dtype == "source", *look)
    return _serve(services, request, job, "result", wish)


@router.get("/residual", response_class=Response, responses=IMAGE_RESPONSES)
def residual(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    look: LookDep,
    format_: FormatQuery = None,
    accept: AcceptHeader = "*/*",
) -> Response:
    """The uploaded image minus the denoised one."""
    return _serve(
        services, request, job, "residual", Wish(negotiate(accept, format_), False, *look)
    )


@router.get("/coverage", response_class=Response, responses=IMAGE_RESPONSES)
def coverage(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    look: LookDep,
    format_: FormatQuery = None,
    accept: AcceptHeader = "*/*",
) -> Response:
    """How many patches overlap each pixel; where it is 0, the result holds the raw value."""
    return _serve(
        services, request, job, "coverage", Wish(negotiate(accept, format_), False, *look)
    )


@router.get("/interim", response_class=Response, responses=IMAGE_RESPONSES)
def latest_interim(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    format_: FormatQuery = None,
    accept: AcceptHeader = "*/*",
) -> Response:
    """The latest interim result: of an image so far, or the latest frame of a stack."""
    wish = Wish(negotiate(accept, format_))
    return render_interim(services, job, None, wish).response(request)


@router.get("/interim/{n}", response_class=Response, responses=IMAGE_RESPONSES)
def interim(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    n: Annotated[int, Path(ge=1, description="Patch stacks it holds; of a stack, its n-th frame.")],
    format_: FormatQuery = None,
    accept: AcceptHeader = "*/*",
) -> Response:
    """The interim result after a number of patch stacks, or the n-th frame of a stack, from 1."""
    wish = Wish(negotiate(accept, format_))
    return render_interim(services, job, n, wish).response(request)


@router.get("/metadata", responses=problems(404, 410, 422, 500))
def metadata(job: JobDep, services: ServicesDep) -> Signal:
    """What is known of the signal that the job is about: calibration, microscope, metadata."""
    return Signal.of(chosen_signal(services, job).info)


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
def eigenpatches(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    frame: EigenpatchFrameQuery = 0,
) -> Response:
    """All offered eigenpatches with their utilities, the kept ones framed green."""
    return render_eigenpatches(services, job, _report(services, job), frame).response(request)


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
    frame: EigenpatchFrameQuery = 0,
) -> Response:
    """One eigenpatch; zero is mid-gray."""
    report = _report(services, job)
    return render_eigenpatch(services, job, report, stack, k, frame).response(request)


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
    writer.writerow(["frame", "stack", "eigenpatch", *lists, "scan_noise", "model"])
    for frame, report in enumerate(content.get("frame_reports", [content])):
        judge = [report.get("scan_noise"), report["model"]]  # for who joins tables of several jobs
        for stack in report["stack_reports"]:
            columns = [stack[name] for name in lists.values()]
            for index, row in enumerate(zip(*columns, strict=True), start=1):
                writer.writerow([frame, stack["stack"], index, *row, *judge])
    return text.getvalue()
