"""What goes wrong, as RFC 9457 problem documents; errors become them in the application."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from app.http.codes import CODES
from app.http.requestid import request_id

MEDIA_TYPE = "application/problem+json"


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
    code: str = Field(
        description="Stable name of the problem, for programs; docs/codes.md lists them.",
        json_schema_extra={"x-extensible-enum": list(CODES)},
    )
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


Responses = dict[int | str, dict[str, Any]]
SCHEMA = f"#/components/schemas/{ProblemBody.__name__}"


def problems(*statuses: int, also: Responses | None = None) -> Responses:
    """OpenAPI's `responses` for the errors a route can answer with, and other answers."""
    return (also or {}) | {
        status: {
            "content": {MEDIA_TYPE: {"schema": {"$ref": SCHEMA}}},
            "description": HTTPStatus(status).phrase,
        }
        for status in (*statuses, 503)
    }
