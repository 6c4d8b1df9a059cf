"""Images: uploaded once, denoised as often as wanted."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response

from app.deps import OwnerDep, ServicesDep
from app.errors import problems
from app.schemas import Image
from app.uploads import accept, media_type, receive_body, receive_form, upload_folder

router = APIRouter(prefix="/images", tags=["images"])

ImageId = Annotated[str, Path(pattern="^[0-9a-f]{32}$")]
FILE: dict[str, Any] = {"type": "string", "format": "binary"}
FILES: dict[str, Any] = {
    "type": "array",
    "items": FILE,
    "minItems": 1,
    "description": "One file; an EMI file with its SER files.",
}
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {"type": "object", "required": ["file"], "properties": {"file": FILES}}
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
    request: Request, response: Response, services: ServicesDep, owner: OwnerDep
) -> Image:
    """Upload an image: a multipart form with `file`, or the file itself as the body.

    The format is told by the content. `file` is repeated for an EMI file and its SER files.
    """
    with upload_folder(services) as folder:
        if media_type(request) == "multipart/form-data":
            file = (await receive_form(request, folder, services.settings)).file
        else:
            file = await receive_body(request, folder, services.settings)
        record, created = await accept(services, file, owner=owner)
    response.status_code = 201 if created else 200
    response.headers["Location"] = f"/v1/images/{record.id}"
    return Image.of(record)


@router.get("/{image_id}", responses=problems(404, 422, 500))
def show(image_id: ImageId, services: ServicesDep, owner: OwnerDep) -> Image:
    """What is known of an image."""
    return Image.of(services.ledger.image(image_id, owner=owner))


@router.delete("/{image_id}", status_code=204, responses=problems(404, 409, 422, 500))
def delete(image_id: ImageId, services: ServicesDep, owner: OwnerDep) -> None:
    """Remove an image that no job refers to."""
    services.ledger.delete_image(image_id, owner=owner)
    services.store.remove_image(image_id)
