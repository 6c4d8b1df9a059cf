"""What this server can do: formats, limits, parameters."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api import lanes
from app.api.archives import MOST_JOBS
from app.api.auth import CallerDep, ReaderDep
from app.api.deps import ServicesDep
from app.api.drawing import MOST_WAITING
from app.api.examples import example
from app.api.image_zips import most_unpacked
from app.api.raw.answers import MOST_PIXELS
from app.api.schemas import JobForm, Params
from app.api.uploads import LONGEST_FIELD, MOST_FIELDS, MOST_FILES
from app.http.problems import problems
from worker.contract import Scope
from worker.formats import COLORMAPS, FORMATS
from worker.formats.file_limits import LARGEST_RATIO, MOST_FRAMES, MOST_SIGNALS
from worker.settings import Settings

router = APIRouter(tags=["capabilities"])

SETTINGS = (
    *("max_upload", "max_pixels", "max_queued", "max_queued_per_owner"),
    *(
        "max_waiting_per_key",
        "max_waiting",
        "rate_limit",
        "owner_quota",
        "min_free",
        "client_timeout_s",
        "min_rate",
    ),
    *("decode_timeout_s", "job_timeout_s", "result_days", "input_days", "job_days"),
)


class FormatCapability(BaseModel):
    """A file format. What is read is told by content, not by name."""

    model_config = example("FormatCapability")

    name: str
    title: str
    suffixes: list[str]
    media_type: str | None = Field(
        description="Media type of results in this format; null if results are not written in it."
    )
    reads: bool
    writes: bool
    calibration: bool = Field(description="Pixel size and unit are kept.")
    frames: bool = Field(description="Stacks of images.")
    metadata: bool = Field(description="Further metadata of the file are kept.")


class Capabilities(BaseModel):
    """What this server can do."""

    model_config = example("Capabilities")

    formats: list[FormatCapability]
    limits: dict[str, float | str] = Field(
        description="Under the names that error answers use; sizes in bytes. What is not listed is "
        "not limited."
    )
    params: dict[str, Any] = Field(
        description="Schema of a job's parameters: types, defaults, ranges."
    )
    models: list[str] = Field(description="Values of the parameter `model`, the default first.")
    colormaps: list[str]


class CallerInfo(BaseModel):
    """Whom the server takes a client for."""

    model_config = example("CallerInfo")

    owner: str = Field(description="Whose objects the client sees; an admin sees all.")
    scopes: list[Scope] = Field(description="`admin` includes the others.")


@router.get("/capabilities", responses=problems(500))
def capabilities(services: ServicesDep, _: ReaderDep) -> Capabilities:
    """The formats that can be read and written, the limits, a job's parameters, classifiers."""
    return Capabilities(
        formats=[
            FormatCapability(**vars(each) | {"suffixes": list(each.suffixes)}, writes=each.writes)
            for each in FORMATS
        ],
        limits=limits(services.settings),
        params=Params.model_json_schema()["properties"],
        models=list(services.models.offered()),
        colormaps=list(COLORMAPS),
    )


@router.get("/caller", responses=problems(500))
def caller(caller: CallerDep) -> CallerInfo:
    """Owner and scopes of the key that the request shows; every key may ask."""
    return CallerInfo(owner=caller.owner, scopes=sorted(caller.scopes))


def limits(settings: Settings) -> dict[str, float | str]:
    """Every limit on what a client sends and takes, by name."""
    labels = JobForm.model_json_schema()["properties"]["labels"]
    of_the_settings = {name: getattr(settings, name) for name in SETTINGS}
    return {name: value for name, value in of_the_settings.items() if value not in (None, "")} | {
        "max_files": MOST_FILES,
        "max_signals": MOST_SIGNALS,
        "max_frames": MOST_FRAMES,
        "max_ratio": LARGEST_RATIO,
        "max_fields": MOST_FIELDS,
        "max_field": LONGEST_FIELD,
        "max_drawings": MOST_WAITING,
        "max_raw_pixels": MOST_PIXELS,
        "max_archived_jobs": MOST_JOBS,
        "max_batch": MOST_JOBS,
        "max_unpacked": most_unpacked(settings),
        "max_requests_waiting": lanes.MOST_WAITING,
        "max_labels": labels["maxProperties"],
    }
