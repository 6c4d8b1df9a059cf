"""The eigenpatches of a job: pictures with their verdicts, and the numbers."""

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from app.api.deps import JobDep, ServicesDep
from app.api.raw import answers
from app.api.renditions import (
    render_eigenpatch,
    render_eigenpatch_numbers,
    render_eigenpatches,
)
from app.api.routes.results import PNG, send
from app.api.wishes import LAST_FRAME
from app.http.files import sends
from app.http.problems import problems

router = APIRouter(prefix="/jobs/{job_id}", tags=["results"])

NUMBERS = sends("The eigenpatches", answers.MEDIA_TYPE)
EigenpatchFrameQuery = Annotated[
    int, Query(ge=0, le=LAST_FRAME, description="Frame of a stack, from 0.")
]


@router.get(
    "/eigenpatches.png",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=PNG),
)
async def eigenpatches(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    frame: EigenpatchFrameQuery = 0,
) -> Response:
    """All offered eigenpatches with their utilities, the kept ones framed green."""
    return await send(services, request, job, lambda: render_eigenpatches(services, job, frame))


@router.get(
    "/eigenpatches",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=NUMBERS),
)
async def eigenpatch_numbers(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    stack: Annotated[int, Query(ge=1, description="Number of the stack, from 1.")] = 1,
    frame: EigenpatchFrameQuery = 0,
    _format: Annotated[Literal["raw"], Query(alias="format")] = "raw",
) -> Response:
    """All offered eigenpatches of a stack: little-endian float32 of shape (k, p, p), row-major.

    With method `two-scale` stack 1 is the lattice's and stack 2 that of what departs from it.
    """

    def make() -> Response:
        numbers, shape = render_eigenpatch_numbers(services, job, stack, frame)
        told = {"Reucid-Shape": answers.listed(*shape), "Reucid-Dtype": "<f4"}
        return numbers.response(request, told)

    return await services.easel.drawn(job.request.owner, make)


@router.get(
    "/eigenpatches/{stack}/{k}.png",
    response_class=Response,
    responses=problems(404, 409, 410, 416, 422, 500, also=PNG),
)
async def eigenpatch(
    request: Request,
    job: JobDep,
    services: ServicesDep,
    stack: Annotated[int, Path(ge=1)],
    k: Annotated[
        int, Path(ge=1, description="From 1, in the order of decreasing singular values.")
    ],
    frame: EigenpatchFrameQuery = 0,
) -> Response:
    """One eigenpatch; zero is mid-gray."""
    return await send(
        services, request, job, lambda: render_eigenpatch(services, job, stack, k, frame)
    )
