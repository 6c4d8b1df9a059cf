"""Images: uploaded once, denoised as often as wanted."""

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.api.artifacts import check_image
from app.api.auth import ReaderDep, SubmitterDep
from app.api.cache import removal_told_by
from app.api.deps import ImageContentDep, ImageDep, ImageToChangeDep, ServicesDep
from app.api.quotas import check_size
from app.api.raw import answers, views
from app.api.renditions import render_preview
from app.api.schemas import Image, ImageList, ImageSummary
from app.api.uploads import (
    accept,
    incoming,
    media_type,
    receive_body,
    receive_form,
    unsupported,
)
from app.api.wishes import CutDep, FrameQuery
from app.http.digests import DIGEST
from app.http.files import send_file, sends
from app.http.paging import PagingDep
from app.http.problems import problems
from worker.store import CHECKED

router = APIRouter(prefix="/images", tags=["images"])

FILE: dict[str, Any] = {"type": "string", "format": "binary"}
ORIGINAL = sends("The file", "application/octet-stream")
PNG = sends("The picture", "image/png")
RAW = sends("The numbers", answers.MEDIA_TYPE)
RAW[200] |= answers.ALSO[200]
POSITION = re.compile("[0-9]{1,9}")
RAW_TYPE = re.compile(r"|application/(octet-stream|x-[a-z0-9.+-]+)|image/[a-z0-9.+-]+")
FILES: dict[str, Any] = {
    "type": "array",
    "items": FILE,
    "minItems": 1,
    "description": "One file; an EMI file with its SER files.",
}
UPLOAD: dict[str, Any] = {
    "parameters": [DIGEST],
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": FILES}}
            },
            "application/octet-stream": {"schema": FILE},
        },
    },
}


@router.post(
    "",
    status_code=201,
    response_model=Image,
    openapi_extra=UPLOAD,
    responses=problems(
        400,
        408,
        413,
        415,
        422,
        500,
        507,
        also={200: {"model": Image, "description": "Uploaded before"}},
    ),
)
async def upload(
    request: Request, response: Response, services: ServicesDep, caller: SubmitterDep
) -> Image:
    """Upload an image: a multipart form with `file`, or the file itself as the body.

    The format is told by the content. `file` is repeated for an EMI file and its SER files.
    """
    size, kind = check_size(services, request), media_type(request)
    async with incoming(services, caller.owner) as sent:
        await run_in_threadpool(sent.space.promise, size)
        if kind == "multipart/form-data":
            form = await receive_form(request, sent, services)
            file = await run_in_threadpool(form.received)
        elif not RAW_TYPE.fullmatch(kind):
            raise unsupported(kind, "multipart/form-data, application/octet-stream or image/...")
        else:
            file = await receive_body(request, sent, services)
        record, created = await accept(services, file, owner=caller.owner, space=sent.space)
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"{services.settings.root_path}/v1/images/{record.id}"
    return Image.of(record)


@router.get("", responses=problems(422, 500))
def index(paging: PagingDep, services: ServicesDep, caller: ReaderDep) -> ImageList:
    """Images, newest first, in brief; a page ends at `limit` or at about a megabyte."""
    before = paging.after(float, str)
    page, after = paging.cut(
        services.images.page(owner=caller.sees, before=before, limit=paging.wanted),
        ImageSummary.of,
        lambda record: (record.created_at, record.id),
        services.settings.root_path,
    )
    return ImageList(images=page, next=after)


@router.get("/{image_id}", responses=problems(404, 410, 422, 500))
def show(image: ImageDep) -> Image:
    """What is known of an image."""
    return Image.of(image)


@router.get(
    "/{image_id}/content",
    response_class=Response,
    responses=problems(404, 410, 416, 422, 500, also=ORIGINAL),
)
def content(request: Request, image: ImageContentDep, services: ServicesDep) -> Response:
    """The file as it was sent; of several, the EMI file."""
    with removal_told_by(lambda: check_image(services, image)):
        path, *others = services.store.sent_files(image)
        sha256 = CHECKED.sha256_of(path) if others else image.sha256
    return send_file(
        request, path, sha256, media_type="application/octet-stream", filename=image.name
    )


@router.get(
    "/{image_id}/preview.png",
    response_class=Response,
    responses=problems(404, 410, 416, 422, 500, 507, also=PNG),
)
async def preview(
    request: Request,
    image: ImageContentDep,
    services: ServicesDep,
    side: Annotated[int, Query(ge=16, le=2048, description="Longest side in px.")] = 512,
) -> Response:
    """A small picture of the image, stretched to black and white; sides are powers of two."""
    return await services.easel.drawn(
        image.owner, lambda: render_preview(services, image, side).response(request)
    )


@router.get(
    "/{image_id}/pixels",
    response_class=Response,
    responses=problems(404, 410, 416, 422, 500, 507, also=RAW),
)
async def pixels(
    request: Request,
    image: ImageContentDep,
    services: ServicesDep,
    cut: CutDep,
    signal: Annotated[
        str | None,
        Query(
            max_length=200,
            description="Position among the file's images, from 0, or title; by default the one "
            "that a job would denoise.",
        ),
    ] = None,
    frame: FrameQuery = None,
    _format: Annotated[Literal["raw"], Query(alias="format")] = "raw",
) -> Response:
    """The numbers of an image of the file, before any job: little-endian float32 in row order."""
    named = int(signal) if signal is not None and POSITION.fullmatch(signal) else signal
    return await services.easel.drawn(
        image.owner, lambda: views.send_pixels(request, services, image, named, frame, cut)
    )


@router.delete("/{image_id}", status_code=204, responses=problems(404, 409, 410, 422, 500))
def delete(image: ImageToChangeDep, services: ServicesDep) -> None:
    """Remove an image that no job refers to."""
    services.store.remove_image(services.images.delete(image.id, owner=image.owner))
