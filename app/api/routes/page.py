"""What is at the root: the page for people, and for programs where everything is."""

from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.responses import JSONResponse

import app
from app.api.deps import ServicesDep
from app.api.schemas import Index
from app.api.wishes import AcceptHeader
from app.http.negotiation import choose
from app.http.problems import problems
from app.http.static import send_static

router = APIRouter(tags=["page"])

FILES = Path(app.__file__).parent / "page" / "static"
# Nothing from elsewhere, nothing inline; pictures that were fetched with a key are blobs.
POLICY = (
    "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
LINKS = {
    "page": "/",
    "documentation": "/docs",
    "openapi": "/v1/openapi.json",
    "capabilities": "/v1/capabilities",
    "models": "/v1/models",
    "params": "/v1/schema/params",
    "images": "/v1/images",
    "jobs": "/v1/jobs",
    "keys": "/v1/keys",
    "health": "/v1/readyz",
    "metrics": "/v1/metrics",
    "version": "/v1/version",
}


@router.get(
    "/",
    response_class=Response,
    responses=problems(
        406,
        422,
        also={
            200: {
                "description": "Links as JSON, or the page where HTML is preferred",
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Index"}},
                    "text/html": {"schema": {"type": "string"}},
                },
                "model": Index,
            },
            304: {"description": "The client's copy is up to date"},
        },
    ),
)
def index(request: Request, services: ServicesDep, accept: AcceptHeader = "*/*") -> Response:
    """The page for people, with `Accept: text/html`; else where everything is."""
    if choose(accept, ["application/json", "text/html"]) == "text/html":
        return send_static(request, FILES, "index.html", vary="Accept", policy=POLICY)
    root = services.settings.root_path
    links = {name: f"{root}{path}" for name, path in LINKS.items()}
    return JSONResponse(Index(name="REUCID", links=links).model_dump(), headers={"Vary": "Accept"})


@router.get("/static/{name:path}", response_class=Response, include_in_schema=False)
def static(request: Request, name: str) -> Response:
    """A file of the page."""
    return send_static(request, FILES, name, policy=POLICY)
