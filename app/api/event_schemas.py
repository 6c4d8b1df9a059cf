"""What each server-sent event of a job tells."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from app.api.schemas import Time
from worker.contract import Event, EventType, Stage


class JobEvent(BaseModel):
    """What every event tells; `id:` and `event:` of the stream are its number and type."""

    model_config = ConfigDict(extra="allow")  # later versions may tell more

    job_id: str
    attempt: int = Field(description="Counted up when a worker was lost and another went on.")
    at: Time


class Queued(JobEvent):
    """The job waits; again after a worker was lost or stopped."""

    reason: str | None = Field(None, description="Why it waits again; null at first.")


class Started(JobEvent):
    """A worker has the job."""


class StageEntered(JobEvent):
    """What the worker does from now on."""

    stage: Stage


class InterimReady(JobEvent):
    """An interim result is there: of an image so far, or a frame of a stack."""

    n: int = Field(description="For `GET /v1/jobs/{id}/interim/{n}`.")
    stacks: int = Field(description="Patch stacks, or frames of a stack, in all.")


class Warned(JobEvent):
    """Something that whoever looks at the result should know."""

    message: str


class Succeeded(JobEvent):
    """The result is there; the last event."""


class Failed(JobEvent):
    """The job has failed; the last event."""

    code: str = Field(description="One of docs/codes.md.")
    detail: str


class Canceled(JobEvent):
    """The job was canceled; the last event."""


PAYLOADS: dict[EventType, type[JobEvent]] = {
    EventType.QUEUED: Queued,
    EventType.STARTED: Started,
    EventType.STAGE: StageEntered,
    EventType.INTERIM: InterimReady,
    EventType.WARNING: Warned,
    EventType.SUCCEEDED: Succeeded,
    EventType.FAILED: Failed,
    EventType.CANCELED: Canceled,
}


def event_data(event: Event) -> dict[str, Any]:
    """What a client sees of an event, as JSON."""
    told = {"job_id": event.job_id, "attempt": event.attempt, "at": event.created_at}
    payload = PAYLOADS[event.type].model_validate(told | dict(event.data))
    return payload.model_dump(mode="json", exclude_unset=True)
