"""Is it alive, is it ready, what is it."""

from functools import partial
from importlib.metadata import version

from fastapi import APIRouter, Response
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from app.api.deps import Services, ServicesDep
from app.api.schemas import Health, Version
from worker.contract import WORKER_SILENCE
from worker.ledger.workers import Workers

router = APIRouter(tags=["health"])


@router.get("/livez")
async def livez() -> Health:
    """The process answers."""
    return Health(status="ok")


@router.get("/readyz", responses={503: {"model": Health, "description": "Not ready"}})
async def readyz(response: Response, services: ServicesDep) -> Health:
    """Jobs are accepted. Without queue or worker they wait: degraded, but ready."""
    health = await services.readiness(partial(run_in_threadpool, check, services))
    response.status_code = 503 if health.status == "down" else 200
    return health


@router.get("/version")
async def show_version() -> Version:
    """The version of the server."""
    return Version(version=version("reucid"))


def check(services: Services) -> Health:
    """What is wrong, if anything is."""
    try:
        services.database.ping()
        services.store.ping()
        workers = Workers(services.database).alive(within_s=WORKER_SILENCE)
    except (SQLAlchemyError, OSError) as error:
        return Health(status="down", problems=[f"ledger or store: {type(error).__name__}"])
    problems = [] if workers else ["no worker is alive: jobs are accepted and wait"]
    if not services.queue_answers():
        problems.append("the queue does not answer: jobs are accepted and wait")
    return Health(status="degraded" if problems else "ok", problems=problems)
