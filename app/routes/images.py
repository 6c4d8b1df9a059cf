"""Images: uploaded once, denoised as often as wanted."""

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.auth import SubmitterDep
from app.deps import ImageDep, ImageToChangeDep, ServicesDep
from app.errors import problems
from app.limits import check_upload
from app.schemas import Image
from app.uploads import accept, media_type, receive_body, receive_form, upload_folder

router = APIRouter(prefix="/images", tags=["images"])

FILE: dict[str, Any] = {"type": "string", "format": "binary"}
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": FILE}}
            },
            "application/octet-stream": {"schema": FILE},
        },
    }
}


@router.post(
    "",
    status_code=201,
    response_model=Image,
    openapi_extra=UPLOAD,
    responses=problems(
        400, 413, 422, 500, 507, also={200: {"model": Image, "description": "Uploaded before"}}
    ),
)
async def upload(
    request: Request, response: Response, services: ServicesDep, caller: SubmitterDep
) -> Image:
    """Upload an image: a multipart form with `file`, or the file itself as the body."""
    await run_in_threadpool(check_upload, services, request, caller.owner)
    with upload_folder(services) as folder:
        if media_type(request) == "multipart/form-data":
            file = (await receive_form(request, folder, services.settings)).file
        else:
            file = await receive_body(request, folder, services.settings)
        record, created = await accept(services, file, owner=caller.owner)
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/v1/images/{record.id}"
    return Image.of(record)


@router.get("/{image_id}", responses=problems(404, 422, 500))
def show(image: ImageDep) -> Image:
    """What is known of an image."""
    return Image.of(image)


@router.delete("/{image_id}", status_code=204, responses=problems(404, 409, 422, 500))
def delete(image: ImageToChangeDep, services: ServicesDep) -> None:
    """Remove an image that no job refers to."""
    services.ledger.delete_image(image.id, owner=image.owner)
    services.store.remove_image(image.id)
