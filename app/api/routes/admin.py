"""What a server holds and does, for whoever administers it."""

from importlib.metadata import version
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from app.api.auth import AdminDep
from app.api.deps import Services, ServicesDep
from app.api.examples import example
from app.api.routes.health import check
from app.api.schemas import Time
from app.http.problems import problems
from worker.contract import WORKER_SILENCE, Priority, State
from worker.ledger.overview import shares, states

router = APIRouter(prefix="/admin", tags=["admin"])


class Owner(BaseModel):
    """What belongs to an owner."""

    model_config = example("Owner")

    owner: str
    images: int
    jobs: dict[str, int] = Field(description="Number by state.")
    stored: int = Field(description="Bytes of images and results, without pictures of them.")
    valid_keys: int
    last_submitted_at: Time | None


class Queue(BaseModel):
    """What waits and what runs."""

    model_config = example("Queue")

    answers: bool = Field(description="Whether the queue's server does; jobs wait where not.")
    queued: dict[str, int] = Field(description="Number by priority.")
    running: int
    longest_wait_s: float
    max_queued: int


class Worker(BaseModel):
    """A worker heard of within a day."""

    model_config = example("Worker")

    name: str
    alive: bool
    silent_s: float = Field(description="Seconds since it was last heard of.")
    job_id: str | None
    running_s: float | None


class Disk(BaseModel):
    """Where the files lie."""

    model_config = example("Disk")

    free: int = Field(description="Bytes.")
    total: int
    stored: int = Field(description="Of images and results of all owners.")
    min_free: int = Field(description="Below it nothing is accepted.")
    owner_quota: int | None


class Keys(BaseModel):
    """How many keys there are."""

    model_config = example("Keys")

    valid: int
    expired: int
    revoked: int


class Overview(BaseModel):
    """All of a server at a glance."""

    model_config = example("Overview")

    version: str
    status: Literal["ok", "degraded", "down"]
    problems: list[str]
    owners: list[Owner]
    keys: Keys
    queue: Queue
    workers: list[Worker]
    disk: Disk


@router.get("/overview", responses=problems(500))
def overview(services: ServicesDep, _: AdminDep) -> Overview:
    """Owners, keys, queue, workers and disk."""
    health = check(services)
    owners = _owners(services)
    keys = [key.state for key in services.keyring.all()]
    space = services.store.space()
    return Overview(
        version=version("reucid"),
        status=health.status,
        problems=health.problems,
        owners=owners,
        keys=Keys(**{state: keys.count(state) for state in ("valid", "expired", "revoked")}),
        queue=_queue(services),
        workers=[
            Worker(**vars(each), alive=each.silent_s <= WORKER_SILENCE)
            for each in states(services.database)
        ],
        disk=Disk(
            free=space.free,
            total=space.total,
            stored=sum(owner.stored for owner in owners),
            min_free=services.settings.min_free,
            owner_quota=services.settings.owner_quota,
        ),
    )


def _owners(services: Services) -> list[Owner]:
    """Of images, jobs and keys."""
    valid = [key.owner for key in services.keyring.all() if key.state == "valid"]
    held = {share.owner: share for share in shares(services.database)}
    nothing = {"images": 0, "jobs": {}, "stored": 0, "last_submitted_at": None}
    return [
        Owner(
            **(nothing | (vars(held[name]) if name in held else {}) | {"owner": name}),
            valid_keys=valid.count(name),
        )
        for name in sorted({*held, *valid})
    ]


def _queue(services: Services) -> Queue:
    counts = services.jobs.counts()
    return Queue(
        answers=services.queue_answers(),
        queued={each: counts.get((State.QUEUED, each), 0) for each in Priority},
        running=sum(n for (state, _), n in counts.items() if state == State.RUNNING),
        longest_wait_s=max(0.0, services.jobs.longest_wait()),
        max_queued=services.settings.max_queued,
    )
