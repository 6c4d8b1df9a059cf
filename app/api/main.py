"""The web application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi_offline import FastAPIOffline
from redis import Redis
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from app.api import errors
from app.api.cache import CLIPPED
from app.api.document import openapi
from app.api.events import Wakes
from app.api.inflight import InFlight
from app.api.lanes import Lanes, LanesMiddleware
from app.api.live.answers import LIVE_HEADERS
from app.api.live.feeds import Feeds
from app.api.live.valkey import Valkey
from app.api.rates import RateLimiter
from app.api.raw.answers import HEADERS
from app.api.routes import (
    admin,
    archives,
    batches,
    capabilities,
    eigenpatches,
    health,
    images,
    jobs,
    keys,
    metrics,
    models,
    page,
    results,
    revisions,
    sessions,
    webhooks,
)
from app.api.services import Services
from app.api.waiting import Waiting
from app.http.access import AccessMiddleware
from app.http.authority import AuthorityMiddleware
from app.http.bodies import BodyMiddleware
from app.http.head import HeadMiddleware
from app.http.headers import SecurityHeadersMiddleware
from app.http.prefix import PrefixMiddleware
from app.http.problems import problems
from app.http.requestid import RequestIdMiddleware
from worker import logs
from worker.decoding import forkserver
from worker.decoding.apart import keep_spares, warm_up
from worker.deployment import open_deployment
from worker.kernel import give_memory_back
from worker.membership import admit, keep
from worker.processes.beside import beside
from worker.settings import Settings

EXPOSED = [
    CLIPPED,
    *HEADERS,
    *LIVE_HEADERS,
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Link",
    "Location",
    "Preference-Applied",
    "Repr-Digest",
    "Retry-After",
    "X-Request-ID",
]
MODULES = (  # archives before jobs, whose ids they would be
    *(images, archives, jobs, results, eigenpatches, revisions),
    *(batches, sessions, capabilities, models, keys, admin, webhooks),
)
MEMORY_BACK = 15.0  # s
MEMBER_PATIENCE = 5.0  # s for the ledger to take note that this process ends
SPARE_CHILDREN = 1  # that wait for a file to decode or a picture to draw
REDIS_TIMEOUT = 0.5  # s; a slow queue must not make a slow API

DESCRIPTION = """\
Denoises low-dose STEM/HAADF micrographs by REUCID: the image is cut into patches of the size of the
point-spread function, an SVD finds the eigenpatches they share, a small network says which of them
are worth keeping, and the image is rebuilt from those. The result is a linear filter of what was
measured.

Submit a job with `POST /v1/jobs`, follow it with `GET /v1/jobs/{id}?wait=30` or its events, and
fetch `/result`, `/residual`, `/report`.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application on a ledger, a store and a queue as set."""
    settings = settings or Settings()
    lanes = Lanes()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        logs.configure(as_json=settings.log_json, level=settings.log_level)
        redis_url = settings.redis_url or "redis://127.0.0.1:6379"
        forkserver.preload("app.api.painting")
        forkserver.preload("worker.image_zips")
        await run_in_threadpool(warm_up)
        await run_in_threadpool(keep_spares, SPARE_CHILDREN)
        database, store = await run_in_threadpool(open_deployment, settings)
        member = await run_in_threadpool(admit, database, "api")
        waiting = Waiting(settings.max_waiting_per_key, settings.max_waiting)
        live = Valkey(redis_url)
        async with (
            Wakes(redis_url, waiting).listening(database) as wakes,
            Feeds(redis_url, live).listening() as feeds,
        ):
            redis = Redis.from_url(
                redis_url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=REDIS_TIMEOUT
            )
            app.state.services = services = Services(
                settings=settings,
                database=database,
                store=store,
                redis=redis,
                wakes=wakes,
                rates=RateLimiter(redis, settings.rate_limit),
                in_flight=InFlight(redis),
                lanes=lanes,
                live=live,
                feeds=feeds,
            )
            giving_back = asyncio.create_task(_give_memory_back())
            with beside(partial(keep, database, member), "member", patience=MEMBER_PATIENCE):
                yield
            giving_back.cancel()
            await run_in_threadpool(keep_spares, 0)
            services.redis.close()
            live.redis.close()
        database.close()

    app = FastAPIOffline(
        title="REUCID",
        version=version("reucid"),
        description=DESCRIPTION,
        license_info={"name": "GPL-3.0-or-later", "identifier": "GPL-3.0-or-later"},
        servers=[{"url": settings.root_path or "/", "description": "This server"}],
        lifespan=lifespan,
        redoc_url=None,
        generate_unique_id_function=lambda route: "_".join([*route.tags[:1], route.name]),
    )
    app.add_middleware(BodyMiddleware, settings=settings)
    app.add_middleware(AuthorityMiddleware)
    app.add_middleware(AccessMiddleware)
    app.add_middleware(LanesMiddleware, lanes=lanes)
    app.add_middleware(
        RequestIdMiddleware, answer=lambda error: errors.to_problem(error).response()
    )
    app.add_middleware(HeadMiddleware)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins.split(),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
        )
    app.add_middleware(SecurityHeadersMiddleware)
    if settings.root_path:
        app.add_middleware(PrefixMiddleware, root_path=settings.root_path)
    errors.install(app)
    for module in MODULES:
        app.include_router(module.router, prefix="/v1", responses=problems(401, 403, 422, 429))
    (document,) = (r for r in app.routes if isinstance(r, Route) and r.path == app.openapi_url)
    app.add_route(f"/v1{document.path}", document.endpoint, include_in_schema=False)
    for module in (health, metrics):  # also where orchestrators and Prometheus look
        app.include_router(module.router, prefix="/v1")
        app.include_router(module.router, include_in_schema=False)
    app.include_router(page.router)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


async def _give_memory_back() -> None:
    """Again and again: what a burst of requests has needed is of no use afterwards."""
    while True:
        await asyncio.sleep(MEMORY_BACK)
        await run_in_threadpool(give_memory_back)
