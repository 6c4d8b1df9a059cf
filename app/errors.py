"""Every error a client can see, as RFC 9457 problem+json; mapped here and nowhere else."""

import errno
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from app.requestid import request_id
from reucid_core.errors import ParameterError, ReucidError
from worker.database import is_full
from worker.formats import FormatError, LimitError
from worker.refusals import (
    ConflictError,
    ExpiredError,
    IdempotencyMismatchError,
    LedgerError,
    NotFoundError,
    QueueFullError,
)
from worker.store import DamagedError

MEDIA_TYPE = "application/problem+json"
QUEUE_WAIT = 10  # s after which a full queue may have room

log = structlog.get_logger()


class FieldError(BaseModel):
    """One field that was refused."""

    field: str = Field(examples=["params.patch_size"])
    message: str = Field(examples=["got 8, which is even; a patch needs a centre: use 7 or 9"])


class Limit(BaseModel):
    """A limit that was exceeded; `GET /v1/capabilities` lists them all."""

    name: str = Field(examples=["max_upload"])
    value: int | float | str = Field(examples=[2147483648])
    got: int | float | str = Field(
        examples=[3000000000],
        description="What the request has of it, or had when it was refused.",
    )


class ProblemBody(BaseModel):
    """Why a request was refused (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str
    code: str = Field(description="Stable name of the problem, for programs.")
    request_id: str
    errors: list[FieldError] = []
    limit: Limit | None = None


class Problem(Exception):  # noqa: N818  (the word of RFC 9457)
    """An answer other than the one that was asked for."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        limit: Limit | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})
        self.limit = limit

    def response(self) -> JSONResponse:
        body = ProblemBody(
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            code=self.code,
            request_id=request_id(),
            errors=self.errors,
            limit=self.limit,
        )
        return JSONResponse(body.model_dump(), self.status, self.headers, media_type=MEDIA_TYPE)


def invalid(errors: Sequence[FieldError]) -> Problem:
    """422 for fields that were refused."""
    detail = "; ".join(f"{error.field}: {error.message}" for error in errors)
    return Problem(422, "invalid_request", detail, errors=errors)


def invalid_fields(errors: Sequence[Mapping[str, Any]], *, prefix: str = "") -> Problem:
    """422 from pydantic's list of errors."""
    return invalid(
        [
            FieldError(
                field=prefix + ".".join(str(part) for part in error["loc"]), message=error["msg"]
            )
            for error in errors
        ]
    )


REFUSALS: dict[type[Exception], tuple[int, str]] = {
    NotFoundError: (404, "not_found"),
    ConflictError: (409, "conflict"),
    ExpiredError: (410, "expired"),
    IdempotencyMismatchError: (422, "idempotency_mismatch"),
}


def to_problem(error: Exception) -> Problem:  # noqa: C901  (a table, not a program)
    """The answer to an error raised anywhere below."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return invalid_fields(error.errors())
        case HTTPException():
            phrase = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
            code = "too_large" if error.status_code == 413 else phrase
            return Problem(error.status_code, code, str(error.detail), headers=error.headers)
        case ParameterError():
            return invalid([FieldError(field=f"params.{error.field}", message=error.reason)])
        case ReucidError() | FormatError():
            return Problem(422, error.code, str(error), limit=_limit(error))
        case QueueFullError():
            limit = Limit(name=error.limit, value=error.value, got=error.got)
            wait = {"Retry-After": str(QUEUE_WAIT)}
            return Problem(429, "queue_full", str(error), headers=wait, limit=limit)
        case LedgerError() if type(error) in REFUSALS:
            return Problem(*REFUSALS[type(error)], str(error))
        case DamagedError():
            return Problem(500, "damaged_image", str(error))
        case ClientDisconnect():  # nobody reads this answer, and it is no fault of ours
            return Problem(400, "client_disconnected", "the client hung up within its request")
        case SQLAlchemyError():
            return _ledger_problem(error)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return _full()
        case _:
            log.error("unhandled", exc_info=error)
            return Problem(500, "internal", "a fault of the server; it was logged")


def _ledger_problem(error: SQLAlchemyError) -> Problem:
    if isinstance(error, DataError):
        return Problem(422, "invalid_request", "got a value that the ledger cannot hold")
    if isinstance(error, DBAPIError) and is_full(error):
        return _full()
    log.error("ledger_away", exc_info=error)
    if isinstance(error, OperationalError | PoolTimeoutError):
        return Problem(
            503,
            "ledger_unavailable",
            "the server's database does not answer: try again, with the same Idempotency-Key",
            headers={"Retry-After": "2"},
        )
    return Problem(500, "internal", "a fault of the server; it was logged")


def _full() -> Problem:
    return Problem(507, "insufficient_storage", "the server's disk is full")


def _limit(error: Exception) -> Limit | None:
    if not isinstance(error, LimitError):
        return None
    return Limit(name=error.limit, value=error.most, got=error.got)


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""

    def answer(request: Request, error: Exception) -> JSONResponse:
        problem = to_problem(error)
        if problem.status == 405:
            problem.headers["Allow"] = ", ".join(_allowed(request))
        return problem.response()

    for kind in (
        Problem,
        RequestValidationError,
        HTTPException,
        ReucidError,
        FormatError,
        LedgerError,
        DamagedError,
        # Here, too, though they would be answered: what is logged and counted is the answer.
        ClientDisconnect,
        SQLAlchemyError,
        OSError,
    ):
        app.add_exception_handler(kind, answer)


def _allowed(request: Request) -> list[str]:
    """Every method of a path; the router names those of one route only."""
    methods = [
        method
        for method in ("DELETE", "GET", "POST")
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.router.routes
        )
    ]
    return methods + ["HEAD"] * ("GET" in methods)


Responses = dict[int | str, dict[str, Any]]


def problems(*statuses: int, also: Responses | None = None) -> Responses:
    """OpenAPI's `responses` for the errors a route can answer with, and other answers."""
    return (also or {}) | {
        status: {
            "model": ProblemBody,
            "content": {MEDIA_TYPE: {}},
            "description": HTTPStatus(status).phrase,
        }
        for status in (*statuses, 503)
    }
