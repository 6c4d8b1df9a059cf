"""Which problem a client sees for each error; mapped here and nowhere else."""

import errno
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from app.http.problems import FieldError, Limit, Problem, invalid, invalid_fields
from reucid_core.errors import ParameterError, ReucidError
from worker.decoding.terms import DecoderError
from worker.formats import FormatError, LimitError
from worker.ledger.database import is_damaged, is_full
from worker.ledger.refusals import (
    ConflictError,
    ExpiredError,
    IdempotencyMismatchError,
    LedgerError,
    NotFoundError,
    QueueFullError,
    SessionsFullError,
    TooManyLabelsError,
)
from worker.store import DamagedError, StoreAwayError

QUEUE_WAIT = 10  # s after which a full queue may have room

log = structlog.get_logger()


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
        case TooManyLabelsError():
            return invalid([FieldError(field="labels", message=str(error))])
        case SessionsFullError():
            limit = Limit(name=error.limit, value=error.value, got=error.got)
            wait = {"Retry-After": str(QUEUE_WAIT)}
            return Problem(429, "too_many_sessions", str(error), headers=wait, limit=limit)
        case LedgerError() if type(error) in REFUSALS:
            return Problem(*REFUSALS[type(error)], str(error))
        case DecoderError():
            return Problem(500, error.code, str(error))
        case DamagedError():
            return Problem(500, "damaged_image", str(error))
        case ClientDisconnect():  # nobody reads this answer, and it is no fault of ours
            return Problem(
                400,
                "client_disconnected",
                "the client closed the connection before its request was complete",
            )
        case SQLAlchemyError():
            return _ledger_problem(error)
        case StoreAwayError():
            log.error("store_away", reason=str(error))
            return Problem(
                503,
                "store_unavailable",
                "the server's store does not answer: try again, with the same Idempotency-Key",
                headers={"Retry-After": "5"},
            )
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return _full()
        case _:
            log.error("unhandled", exc_info=error)
            return Problem(500, "internal", "a fault of the server; it was logged")


def _ledger_problem(error: SQLAlchemyError) -> Problem:
    if isinstance(error, DataError):
        return Problem(422, "invalid_request", "got a value that the ledger cannot hold")
    if is_full(error):
        return _full()
    if is_damaged(error):
        log.error("ledger_damaged", error=str(getattr(error, "orig", error))[:200])
        return Problem(
            503,
            "ledger_damaged",
            "the server's database is damaged: whoever runs the server sees by `reucid doctor` "
            "where, and restores its backup",
        )
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
        DecoderError,
        LedgerError,
        DamagedError,
        # Here, too, though they would be answered: what is logged and counted is the answer.
        ClientDisconnect,
        SQLAlchemyError,
        OSError,
    ):
        app.add_exception_handler(kind, answer)


def _allowed(request: Request) -> list[str]:
    """Every method of a path; the router names those of one route only.

    Those of the first routes that know the path: others may take it for an id.
    """
    for routes in request.app.router.routes:
        found = {
            method: routes.matches({**request.scope, "method": method})[0]
            for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        }
        if set(found.values()) != {Match.NONE}:
            methods = [method for method, match in found.items() if match is Match.FULL]
            return sorted(methods + ["HEAD"] * ("GET" in methods))
    return []
