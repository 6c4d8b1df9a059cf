"""What a job yields: images, the report, the eigenpatches."""

import json
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from app.api.artifacts import chosen_signal, read_report
from app.api.cache import Rendition
from app.api.deps import JobDep, Services, ServicesDep
from app.api.raw import answers, views
from app.api.renditions import (
    Name,
    render,
    render_bundle,
    render_eln,
    render_interim,
    render_provenance,
    send_picture,
)
from app.api.schemas import Signal, Verdict
from app.api.wishes import (
    AcceptHeader,
    InterimWish,
    RawWish,
    ResultWish,
    Wish,
    WishDep,
)
from app.http.conditional import etag_of, not_modified, tagged
from app.http.files import sends
from app.http.negotiation import choose
from app.http.problems import Responses, problems
from worker.bundles.eln import MEDIA_TYPE
from worker.contract import JobRecord
from worker.denoising.reports import to_csv
from worker.formats import MEDIA_TYPES

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])

FILES = sends("The image", *MEDIA_TYPES.values())
FILES_OR_RAW = sends("The image", *MEDIA_TYPES.values(), answers.MEDIA_TYPE)
FILES_OR_RAW[200] |= answers.ALSO[200]
RAW = {"result": views.send_result, "residual": views.send_residual, "input": views.send_input}
PNG = sends("The picture", "image/png")
ZIP = sends("The bundle", "application/zip")
ELN = sends("The .eln file", MEDIA_TYPE)
RECORD: Responses = {
    200: {
        "description": "The record",
        "content": {"application/ld+json": {"schema": {"type": "object"}}},
    },
    304: {"description": "The client's copy is up to date"},
}
WithInput = Annotated[
    bool,
    Query(
        alias="input",
        description="`false` leaves the input out; the bundle then holds its hash only.",
    ),
]
IMAGE_RESPONSES = problems(404, 406, 409, 410, 416, 422, 500, 507, also=FILES)
RAW_RESPONSES = problems(404, 406, 409, 410, 416, 422, 500, 507, also=FILES_OR_RAW)


async def _serve(
    services: Services, request: Request, job: JobRecord, name: Name, wish: Wish
) -> Response:
    def make() -> Response:
        if wish.format == "raw":
            return RAW[name](request, services, job, wish.frame, wish.cut)
        if wish.look is not None and wish.format == "png":
            return send_picture(request, services, job, name, wish)
        return render(services, job, name, wish).response(request)

    return await services.easel.drawn(job.request.owner, make)


async def send(
    services: Services, request: Request, job: JobRecord, make: Callable[[], Rendition]
) -> Response:
    return await services.easel.drawn(job.request.owner, lambda: make().response(request))


async def _send_interim(
    services: Services, request: Request, job: JobRecord, n: int | None, wish: Wish
) -> Response:
    def make() -> Response:
        if wish.format == "raw":
            return views.send_interim(request, services, job, n, wish.cut)
        return render_interim(services, job, n, wish).response(request)

    return await services.easel.drawn(job.request.owner, make)


@router.get("/result", response_class=Response, responses=RAW_RESPONSES)
async def result(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    wish: ResultWish,
) -> Response:
    """The denoised image, or stack of images, with the calibration of the source.

    TIFF is float32: ImageJ's for an image, OME-TIFF for a stack. NPY and HSPY are exact. Raw
    numbers are sent by region and scale, for viewers.
    """
    return await _serve(services, request, job, "result", wish)


@router.get("/residual", response_class=Response, responses=RAW_RESPONSES)
async def residual(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    wish: RawWish,
) -> Response:
    """The uploaded image minus the denoised one."""
    return await _serve(services, request, job, "residual", wish)


@router.get("/input", response_class=Response, responses=RAW_RESPONSES)
async def noisy(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    wish: RawWish,
) -> Response:
    """What the job is to denoise: the image or stack as it was decoded, also before it is done."""
    return await _serve(services, request, job, "input", wish)


@router.get("/coverage", response_class=Response, responses=IMAGE_RESPONSES)
async def coverage(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    wish: WishDep,
) -> Response:
    """How many patches overlap each pixel; where it is 0, the result holds the raw value."""
    return await _serve(services, request, job, "coverage", wish)


@router.get("/departures", response_class=Response, responses=IMAGE_RESPONSES)
async def departures(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    wish: WishDep,
) -> Response:
    """Where the image is not its lattice: 1, else 0. Of method `two-scale`.

    One column of the lattice in a hundred is in it by chance, and weak departures are not.
    """
    return await _serve(services, request, job, "departures", wish)


@router.get("/interim", response_class=Response, responses=RAW_RESPONSES)
async def latest_interim(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    wish: InterimWish,
) -> Response:
    """The latest interim result: of an image so far, or the latest frame of a stack."""
    return await _send_interim(services, request, job, None, wish)


@router.get("/interim/{n}", response_class=Response, responses=RAW_RESPONSES)
async def interim(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    wish: InterimWish,
    n: Annotated[
        int,
        Path(
            ge=1,
            description="Patch stacks it holds; in a stack of images, the number of the frame.",
        ),
    ],
) -> Response:
    """The interim result after a number of patch stacks, or the n-th frame of a stack, from 1."""
    return await _send_interim(services, request, job, n, wish)


@router.get("/metadata", responses=problems(404, 410, 422, 500))
def metadata(job: JobDep, services: ServicesDep) -> Signal:
    """What is known of the signal that the job is about: calibration, microscope, metadata."""
    return Signal.of(chosen_signal(services, job).info)


@router.get("/verdict", responses=problems(404, 409, 410, 422, 500))
def verdict(job: JobDep, services: ServicesDep) -> Verdict:
    """How much of the noise is gone, and whether structure went with it, in sentences."""
    return Verdict.of(read_report(services, job))


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
            304: {"description": "The client's copy is up to date"},
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
    content = read_report(services, job)
    text = to_csv(content) if media_type == "text/csv" else json.dumps(content, allow_nan=False)
    headers = tagged(etag_of(text), vary="Accept")
    return not_modified(request, headers) or Response(text, media_type=media_type, headers=headers)


@router.get(
    "/provenance",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=RECORD),
)
async def provenance(
    request: Request, job: JobDep, services: ServicesDep, with_input: WithInput = True
) -> Response:
    """How the result came about: an RO-Crate (Process Run Crate), as the bundle holds it."""
    return await send(
        services, request, job, lambda: render_provenance(services, job, with_input=with_input)
    )


@router.get(
    "/bundle.zip",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=ZIP),
)
async def bundle(
    request: Request, job: JobDep, services: ServicesDep, with_input: WithInput = True
) -> Response:
    """Input, result, residual, report, eigenpatches and provenance, for `reucid verify`."""
    return await send(
        services, request, job, lambda: render_bundle(services, job, with_input=with_input)
    )


@router.get(
    "/bundle.eln",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=ELN),
)
async def eln(request: Request, job: JobDep, services: ServicesDep) -> Response:
    """The same for an electronic laboratory notebook, in the ELN Consortium's file format."""
    return await send(services, request, job, lambda: render_eln(services, job))
