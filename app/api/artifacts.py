"""What a job has to show: whether it is there yet, has expired, and is what was put there."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.api.cache import matches, removal_told_by
from app.api.deps import Services
from app.http.problems import Problem
from worker.contract import Artifact, EventType, ImageRecord, JobRecord, State
from worker.denoising.artifacts import REPORT
from worker.denoising.params import JobParams
from worker.denoising.selection import Chosen
from worker.ledger.refusals import ExpiredError


def require(job: JobRecord, name: str) -> Artifact:
    """What the ledger holds of a file of a job, if it succeeded and its results are still there."""
    if not job.state.terminal:
        raise _not_ready(f"the job is {job.state}, its {name.split('.')[0]} is not there yet")
    _check_expiry(job)
    if job.state is not State.SUCCEEDED:
        raise Problem(409, "no_result", f"the job {job.state} and has no {name.split('.')[0]}")
    held = job.artifact(name)
    if held is None:
        raise Problem(404, "not_found", f"this job has no {name}")
    return held


def artifact(services: Services, job: JobRecord, name: str) -> tuple[Path, Artifact]:
    """A file of a succeeded job, its bytes checked against the ledger."""
    held = require(job, name)
    path = services.store.artifact(job, name)
    if not matches(path, held.sha256):
        check_removal(services, job)
        raise Problem(
            500, "damaged_artifact", f"{name} of this job is missing or damaged in the store"
        )
    return path, held


def read_report(services: Services, job: JobRecord) -> dict[str, Any]:
    """The report of a succeeded job, as it was written."""
    path, _ = artifact(services, job, REPORT)
    with removal_told_by(lambda: check_removal(services, job)):
        content: dict[str, Any] = json.loads(path.read_bytes())
    return content


def interim(services: Services, job: JobRecord, n: int | None) -> tuple[int, str]:
    """The number and digest of an interim result of the current attempt, the latest by default."""
    _check_expiry(job)
    interims = {
        int(event.data["n"]): str(event.data["sha256"])
        for event in services.jobs.events(job.id)
        if event.type is EventType.INTERIM and event.attempt == job.attempt
    }
    n = max(interims, default=0) if n is None else n
    if n not in interims:
        if not job.state.terminal:
            raise _not_ready(f"got {len(interims)} interim results so far, expected more")
        if not interims and job.state is not State.SUCCEEDED:
            raise Problem(409, "no_result", f"the job {job.state} and has no interim results")
        raise Problem(404, "not_found", f"this job has {len(interims)} interim results")
    return n, interims[n]


def chosen_signal(services: Services, job: JobRecord) -> Chosen:
    """What the job is about."""
    selection = JobParams.from_json(job.request.params).selection
    return selection.of(image_of(services, job).contents)


def image_of(services: Services, job: JobRecord) -> ImageRecord:
    """The image that a job is about."""
    return services.images.get(job.request.image_id, owner=job.request.owner)


def check_image(services: Services, image: ImageRecord) -> None:
    """Refuse an image that was removed, or has expired, since it was looked up."""
    now = services.images.get(image.id, owner=image.owner)
    if now.expired_at is not None:
        raise ExpiredError(f"image {now.id}", now.expired_at)


def check_removal(services: Services, job: JobRecord) -> None:
    """Refuse a job that was removed, or whose results have expired, since it was looked up."""
    _check_expiry(services.jobs.get(job.id))


def check_interim(job: JobRecord, path: Path) -> None:
    """Refuse an interim result that went with the others when its job ended, or expired."""
    _check_expiry(job)
    if not path.exists() and job.state.terminal:
        raise Problem(410, "expired", "the interim results of this job were removed")


def _check_expiry(job: JobRecord) -> None:
    if job.expires_at is not None and job.expires_at < time.time():
        expired = datetime.fromtimestamp(job.expires_at, UTC).isoformat(timespec="seconds")
        raise Problem(410, "expired", f"the results of this job expired at {expired}")


def _not_ready(detail: str) -> Problem:
    return Problem(409, "not_ready", detail, headers={"Retry-After": "1"})
