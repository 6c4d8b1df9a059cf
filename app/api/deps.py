"""What routes are given: the objects they are about, if the caller may see them."""

import re
from typing import Annotated

from fastapi import Depends, Path
from pydantic import AfterValidator

from app.api.auth import ReaderDep, SubmitterDep
from app.api.services import Services as Services
from app.api.services import ServicesDep as ServicesDep
from worker.contract import ImageRecord, JobRecord
from worker.ledger.refusals import ExpiredError, NotFoundError

PATTERN = "^[0-9a-f]{32}$"


def checked(id_: str) -> str:
    """An id; 404 for what can be none."""
    if not re.fullmatch(PATTERN, id_):
        raise NotFoundError(f"no object has the id {id_[:64]!r}")
    return id_


Id = Annotated[str, Path(json_schema_extra={"pattern": PATTERN}), AfterValidator(checked)]


def _job_to_read(job_id: Id, services: ServicesDep, caller: ReaderDep) -> JobRecord:
    return services.jobs.get(job_id, owner=caller.sees)


def _job_to_change(job_id: Id, services: ServicesDep, caller: SubmitterDep) -> JobRecord:
    return services.jobs.get(job_id, owner=caller.sees)


def _image_to_read(image_id: Id, services: ServicesDep, caller: ReaderDep) -> ImageRecord:
    return services.images.get(image_id, owner=caller.sees)


def _image_content(image: Annotated[ImageRecord, Depends(_image_to_read)]) -> ImageRecord:
    if image.expired_at is not None:
        raise ExpiredError(f"image {image.id}", image.expired_at)
    return image


def _image_to_change(image_id: Id, services: ServicesDep, caller: SubmitterDep) -> ImageRecord:
    return services.images.get(image_id, owner=caller.sees)


JobDep = Annotated[JobRecord, Depends(_job_to_read)]
JobToChangeDep = Annotated[JobRecord, Depends(_job_to_change)]
ImageDep = Annotated[ImageRecord, Depends(_image_to_read)]
ImageContentDep = Annotated[ImageRecord, Depends(_image_content)]
ImageToChangeDep = Annotated[ImageRecord, Depends(_image_to_change)]
