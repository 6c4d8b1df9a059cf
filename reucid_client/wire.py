"""What both clients need to talk HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

import httpx

from reucid_client.errors import (
    AddressError,
    ProblemError,
    ReucidClientError,
    UnreachableError,
)

TIMEOUT = httpx.Timeout(10.0, read=60.0, write=300.0)
GLANCE = httpx.Timeout(2.0)  # of a question that is asked once


def checked(url: str) -> httpx.URL:
    """A server's address.

    Raises
    ------
    AddressError
    """
    expected = "expected one such as http://localhost:8000"
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise AddressError(f"got the address {url!r}: {error}; {expected}") from error
    if address.scheme not in ("http", "https") or not address.host:
        raise AddressError(f"got the address {url!r}, {expected}")
    return address


def headers_for(key: str | None) -> dict[str, str]:
    """Of every request."""
    return {"Authorization": f"Bearer {key}"} if key else {}


def problem_of(
    response: httpx.Response | None, failure: Exception | None, url: object
) -> ReucidClientError:
    """The error for an answer, or for none."""
    if response is None:
        return UnreachableError(f"cannot reach {url}: {failure}")
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    return ProblemError(response.status_code, problem if isinstance(problem, dict) else {})


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes its name when all of it is written."""
    temporary = path.with_name(f".{uuid4().hex}.part")  # a name may be as long as names may be
    try:
        with temporary.open("xb") as file:
            yield file
        temporary.replace(path)
    finally:
        if temporary.exists():
            temporary.unlink()
