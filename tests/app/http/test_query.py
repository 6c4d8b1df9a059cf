"""Query parameters that a route does not know are refused, and the known ones named."""

import asyncio
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Query

from app.api import errors
from app.http.query import refuse_unknown


def _application() -> FastAPI:
    app = FastAPI(dependencies=[Depends(refuse_unknown)])
    errors.install(app)

    def page(limit: int = 5) -> int:
        return limit

    @app.get("/things")
    async def things(
        limit: Annotated[int, Depends(page)], format_: Annotated[str, Query(alias="format")] = "x"
    ) -> str:
        return f"{limit} {format_}"

    @app.get("/plain")
    async def plain() -> str:
        return "plain"

    return app


def _asked(path: str) -> tuple[int, Any]:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(_application())
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await client.get(path)

    answer = asyncio.run(ask())
    return answer.status_code, answer.json()


def test_known_parameters_pass_wherever_they_are_declared() -> None:
    assert _asked("/things?format=npy&limit=7") == (200, "7 npy")


@pytest.mark.parametrize(
    ("path", "fields", "expected"),
    [
        ("/things?formt=npy&limit=7", ["query.formt"], "expected one of format, limit"),
        ("/plain?a=1&b=2", ["query.a", "query.b"], "expected none"),
    ],
)
def test_unknown_parameters_are_refused_and_the_known_ones_named(
    path: str, fields: list[str], expected: str
) -> None:
    status, problem = _asked(path)
    assert status == 422
    assert [error["field"] for error in problem["errors"]] == fields
    assert all(error["message"].endswith(expected) for error in problem["errors"])
