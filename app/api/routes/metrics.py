"""Figures for Prometheus."""

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.api.auth import bearer, check_scope, header, identify, is_local, shown
from app.api.deps import Services, ServicesDep
from app.api.metrics import exposition
from app.http.problems import problems
from worker.contract import Scope

router = APIRouter(tags=["health"])

TEXT = "text/plain; version=0.0.4; charset=utf-8"


@router.get(
    "/metrics",
    response_class=Response,
    responses=problems(401, 403, 429, 500)
    | {200: {"description": "Prometheus's text format", "content": {"text/plain": {}}}},
)
async def metrics(request: Request, services: ServicesDep) -> Response:
    """Jobs, queue, workers, store and HTTP; for this machine, or with a key to read."""
    key = await shown(request, await bearer(request), await header(request))
    await run_in_threadpool(_check, request, services, key)
    return Response(await run_in_threadpool(exposition, services), media_type=TEXT)


def _check(request: Request, services: Services, key: str | None) -> None:
    if services.settings.metrics_open or (key is None and is_local(request)):
        return
    check_scope(identify(request, services, key), Scope.READ)
