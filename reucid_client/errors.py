"""What can go wrong, for programs and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reucid_client.models import Job


class ReucidClientError(Exception):
    """Base of all errors of this package."""


class AddressError(ReucidClientError, ValueError):
    """What was given as a server's address is none."""


class UnreachableError(ReucidClientError):
    """No answer from the server, for as long as it was asked again."""


class ProblemError(ReucidClientError):
    """The server refused a request.

    Parameters
    ----------
    status : int
        Of the answer.
    problem : mapping
        The problem document (RFC 9457): `code`, `detail`, `request_id`, `errors`, `limit`.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(problem.get("code", ""))
        self.detail = str(problem.get("detail", f"the server answered {status}"))
        self.request_id = str(problem.get("request_id", ""))
        super().__init__(self.detail)


class JobError(ReucidClientError):
    """The job failed or was canceled: it has no result."""

    def __init__(self, job: Job) -> None:
        error = job.error or {"code": "canceled", "detail": f"the job was {job.state}"}
        self.job = job
        self.code = str(error["code"])
        self.detail = str(error["detail"])
        super().__init__(self.detail)
